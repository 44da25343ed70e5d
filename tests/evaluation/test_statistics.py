"""Intervals and tests over subjects."""

import math

import numpy as np
import pytest

from iconet.evaluation.statistics import bootstrap_mean, paired_wilcoxon


def test_the_interval_is_the_normal_one_for_many_subjects():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    interval = bootstrap_mean(values)
    half_width = 1.96 * values.std() / math.sqrt(400)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.02)


def test_the_same_values_give_the_same_interval():
    values = np.random.default_rng(1).normal(size=12)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_of_two_subjects_the_interval_reaches_from_one_to_the_other():
    # A quarter of the resamples hold the first twice, a quarter the second: both above 2.5 %.
    assert bootstrap_mean([1.0, 4.0]) == (2.5, 1.0, 4.0)


def test_equal_subjects_leave_no_uncertainty_and_one_subject_has_no_interval():
    assert bootstrap_mean([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert bootstrap_mean([0.1] * 7) == pytest.approx((0.1, 0.1, 0.1))
    single = bootstrap_mean([2.0])
    assert single.mean == 2.0
    assert math.isnan(single.low) and math.isnan(single.high)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_mean([])


def test_wilcoxon_reaches_its_exact_minimum_when_every_subject_gains():
    base = np.arange(12.0)
    assert paired_wilcoxon(base + np.linspace(1, 2, 12), base) == pytest.approx(2 / 2**12)
    assert paired_wilcoxon(base, base) == 1.0


def test_wilcoxon_is_symmetric_and_pairs():
    a, b = np.array([1.0, 2.0, 9.0, 4.0, 6.0]), np.array([1.5, 1.0, 7.0, 5.5, 2.0])
    assert paired_wilcoxon(a, b) == pytest.approx(paired_wilcoxon(b, a))
    with pytest.raises(ValueError, match="equally long"):
        paired_wilcoxon(a, b[:3])
