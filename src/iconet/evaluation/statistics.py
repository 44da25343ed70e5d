"""Uncertainty over subjects: bootstrap intervals and the paired Wilcoxon test."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean over subjects and its 95 % bootstrap confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Mean with its 95 % percentile bootstrap interval, resampling subjects 10 000 times.

    Args:
        values: One number a subject, at least one. A single subject has no interval: low and high
            are NaN.
        seed: Fixes the resampling, so that a table comes out the same twice.
    """
    from scipy.stats import bootstrap

    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("a mean needs at least one value")
    mean = float(data.mean())
    if data.size == 1:
        return Interval(mean, float("nan"), float("nan"))
    found = bootstrap(
        (data,), np.mean, n_resamples=10_000, batch=1000, method="percentile", rng=seed
    )
    return Interval(mean, *map(float, found.confidence_interval))


def paired_wilcoxon(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value that the paired differences are symmetric around zero.

    1 where no pair differs. With n subjects it cannot fall below 2 / 2**n.
    """
    from scipy.stats import wilcoxon

    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"expected two equally long lists, got shapes {a.shape} and {b.shape}")
    if np.array_equal(a, b):
        return 1.0
    return float(wilcoxon(a, b).pvalue)
