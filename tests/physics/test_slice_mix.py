import pytest
import torch

from iconet.errors import InputError
from iconet.physics.kspace import resize_kspace
from iconet.physics.slice_mix import SliceMix
from iconet.physics.slice_profile import thick_slices

QUIET = {"noise_probability": 0.0, "gap_max": 0.0}
ONE = torch.ones(1, 1, 1, 1)


def images(count=3):
    return torch.rand(count, 1, 24, 20, generator=torch.Generator().manual_seed(1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("way", ["gaussian", "rect", "kspace"])
@pytest.mark.parametrize("factor", [2, 4])
def test_rows_become_thick_and_columns_stay(way, factor):
    weights = {"gaussian": 0.0, "rect": 0.0, "kspace": 0.0, way: 1.0}
    clean = images()
    low = SliceMix(**weights, **QUIET)(clean, factor, generator(), ONE)
    if way == "kspace":
        expected = resize_kspace(clean, (24 // factor, 20)).abs()
    else:
        expected = thick_slices(clean.mT, factor, profile=way).mT
    torch.testing.assert_close(low, expected)


def test_every_way_is_taken_as_often_as_its_weight_says():
    mix = SliceMix(gaussian=2, rect=1, kspace=1, **QUIET)
    clean = images(1).expand(400, 1, 24, 20)
    low = mix(clean, 2, generator(), ONE)
    ways = [thick_slices(clean[:1].mT, 2, profile=p).mT for p in ("gaussian", "rect")]
    shares = [float((low - way).abs().amax((1, 2, 3)).lt(1e-5).float().mean()) for way in ways]
    assert shares == pytest.approx([0.5, 0.25], abs=0.07)


def test_gaps_are_between_none_and_the_largest():
    """The gap of each image, found by what it does: a thinner slice sees a point more sharply."""
    clean = torch.zeros(50, 1, 24, 4)
    clean[:, :, 10] = 1
    mix = SliceMix(gaussian=1, rect=0, kspace=0, gap_max=0.5, noise_probability=0)
    seen = mix(clean, 4, generator(), ONE)[:, 0, 2, 0]
    bounds = [thick_slices(clean[:1].mT, 4, profile="gaussian", gap=g)[0, 0, 0, 2] for g in (0, 2)]
    assert (seen >= bounds[0] - 1e-6).all() and (seen <= bounds[1] + 1e-6).all()
    assert seen.max() - seen.min() > 0.8 * (bounds[1] - bounds[0])


def test_the_same_generator_gives_the_same_and_noise_is_relative_to_the_scale():
    mix = SliceMix(noise_probability=1, noise_max=0.1)
    one, again = (mix(images(), 2, generator(5), ONE) for _ in range(2))
    assert torch.equal(one, again)
    assert (one >= 0).all()
    dark = SliceMix(noise_probability=1, noise_max=0.1)(
        torch.zeros(200, 1, 24, 20), 2, generator(), 10 * ONE
    )
    # Rayleigh: the mean of sigma sqrt(pi / 2), sigma uniform between 0 and 1.
    assert float(dark.mean()) == pytest.approx(0.5 * (torch.pi / 2) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gaussian": -1},
        {"gaussian": 0, "rect": 0, "kspace": 0},
        {"gap_max": 1},
        {"noise_probability": 2},
        {"noise_max": -1},
    ],
)
def test_what_is_no_mix_is_refused(wrong):
    with pytest.raises(InputError):
        SliceMix(**wrong)


def test_rows_that_do_not_split_are_refused():
    with pytest.raises(InputError):
        SliceMix(kspace=0)(images(), 5, generator(), ONE)
