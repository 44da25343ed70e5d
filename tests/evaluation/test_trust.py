"""Calibration: closed forms of what distances must be multiplied by."""

import numpy as np
import pytest
import torch

from iconet.evaluation.trust import (
    BEYOND,
    Case,
    Sampled,
    calibrated_factors,
    fitted_widening,
    rescaled,
    some_of_each,
    summary,
    ways_of,
)
from iconet.evaluation.trust import _of_other_sets as other_sets
from iconet.network.interval import MOST_WIDENED, TAILS, IntervalHead
from iconet.training.recipe import Recipe


def measured(subject, spread, way="kspace-crop", count=20001):
    """Errors evenly spread over -spread to spread, distances of 1 to both sides."""
    case = Case("a", subject, "T1w", np.zeros((1, 8, 8), np.float32), 1.0)
    truth = np.linspace(-spread, spread, count)
    image = np.zeros(count)
    return Sampled(case, way, truth, image, image - 1, image + 1)


def test_factors_leave_what_is_aimed_at_beyond_each_side():
    one = measured("1", 3.0)
    factors = calibrated_factors([one], {"kspace-crop": 1.0})
    assert factors == pytest.approx([3 * (1 - 2 * BEYOND)] * 2, rel=1e-3)
    assert rescaled(one, factors).coverage == pytest.approx(1 - 2 * BEYOND, abs=1e-3)
    assert BEYOND <= TAILS


def test_subjects_count_alike_however_many_scans_they_have():
    many = [measured("1", 1.0) for _ in range(9)] + [measured("2", 3.0)]
    few = [measured("1", 1.0), measured("2", 3.0)]
    shares = {"kspace-crop": 1.0}
    assert calibrated_factors(many, shares) == calibrated_factors(few, shares)
    factors = calibrated_factors(few, shares)
    found = summary([rescaled(one, factors) for one in few])
    assert found["coverage"] == pytest.approx(1 - 2 * BEYOND, abs=2e-3)
    assert found["subjects"] == 2 and found["worst_scan"] < 0.88


def test_data_sets_count_alike_however_many_subjects_they_have():
    other = measured("9", 3.0)
    other = other._replace(case=other.case._replace(dataset="b"))
    shares = {"kspace-crop": 1.0}
    many = [measured(str(number), 1.0) for number in range(8)]
    assert calibrated_factors([*many, other], shares) == calibrated_factors(
        [many[0], other], shares
    )


def test_ways_count_as_often_as_the_mix_has_them():
    both = [measured("1", 1.0), measured("1", 3.0, "noisy")]
    only = calibrated_factors(both, {"kspace-crop": 1.0})
    assert only == calibrated_factors(both[:1], {"kspace-crop": 1.0})
    assert calibrated_factors(both, {"kspace-crop": 0.5, "noisy": 0.5})[0] > only[0]


def test_the_widening_is_what_each_data_set_needs_however_many_scans_it_has():
    """Needed: the exponential of how fine an image is, 2.7 (95 % of 3) for twice as fine."""
    generator = torch.Generator().manual_seed(0)
    known = []
    for number in range(60):
        strengths = 0.3 * torch.randn(14, generator=generator)
        needed = float((strengths[:2].mean() + 2).exp())
        one = measured(str(number), needed / 0.9)
        known.append(one._replace(strengths=strengths))
    widening = fitted_widening(known)
    head = IntervalHead(4)
    head.widening.copy_(widening)
    for one in known:
        wanted = (one.strengths[:2].mean() + 2).exp().clamp(max=MOST_WIDENED)
        torch.testing.assert_close(
            head.widened(one.strengths[None])[0], wanted.expand(2), rtol=0.1, atol=0.0
        )
    other = [one._replace(case=one.case._replace(dataset="b")) for one in known[:20]]
    torch.testing.assert_close(fitted_widening(known + other), widening, rtol=1, atol=0.3)


def test_few_scans_say_nothing_of_the_widening():
    assert (fitted_widening([measured("1", 1.0)]) == 0).all()


def test_a_large_data_set_gives_no_more_scans_than_others():
    case = measured("1", 1.0).case
    large = [case._replace(subject=str(number)) for number in range(50)]
    small = [case._replace(dataset="b", subject=str(number)) for number in range(3)]
    chosen = some_of_each([*large, *small])
    assert 4 < sum(one.dataset == "a" for one in chosen) <= 8
    assert [one.subject for one in chosen if one.dataset == "b"] == ["0", "1", "2"]


def test_a_recipe_names_the_ways_of_its_mix():
    content = {
        "name": "a",
        "purpose": "b",
        "scale": 2,
        "data": {"root": "."},
        "optimisation": {"steps": 1},
        "degradation": {"kspace": 3, "windowed": 1, "blurred": 0, "averaged": 0},
    }
    content["degradation"] |= {"noise_probability": 0.2, "noise_max": 0.01}
    assert ways_of(Recipe(**content)) == pytest.approx(
        {"kspace-crop": 0.6, "windowed": 0.2, "noisy": 0.2}
    )
    assert ways_of(Recipe(**content, task={"kind": "through-plane"})) == {"thick-slices": 1.0}


def test_a_scan_of_another_scanner_is_as_far_as_a_data_set_that_is_left_out():
    generator = torch.Generator().manual_seed(0)

    def scans(shift):
        return [torch.randn(5, 4, generator=generator) + shift for _ in range(20)]

    near = {"a": scans(0.0), "b": scans(0.0), "c": scans(0.0)}
    apart = {"a": scans(0.0), "b": scans(4.0), "c": scans(-4.0)}
    assert 0.8 < other_sets(near) < 1.3 < 1.5 < other_sets(apart)
    assert other_sets({"a": scans(0.0)}) == 0
