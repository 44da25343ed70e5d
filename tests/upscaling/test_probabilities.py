"""Probabilities stay within their range, and those of all tissues add up to 1."""

import numpy as np
import pytest

from iconet.upscaling.probabilities import blend


def made(volume, sizes, steps):
    out = np.empty(sizes, np.float32)
    blend(volume, out, steps)
    return out


@pytest.mark.parametrize("steps", [{0: 0.5, 1: 0.5}, {2: 0.25}, {0: 0.5, 2: 1.5}, {1: 2.0}])
def test_they_stay_in_range_and_add_up(steps):
    rng = np.random.default_rng(0)
    tissues = rng.gamma(0.2, 1, (3, 12, 10, 8)).astype(np.float32)
    tissues /= tissues.sum(axis=0)
    sizes = [round(n / steps.get(axis, 1)) for axis, n in enumerate((12, 10, 8))]
    found = np.stack([made(each, sizes, steps) for each in tissues])
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


def test_a_ramp_stays_a_ramp():
    ramp = np.linspace(0, 1, 11, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)
    found = made(ramp, (22, 4), {0: 0.5})
    np.testing.assert_allclose(np.diff(found[1:-1, 0]), 0.05, atol=1e-6)
    assert found[0, 0] == 0 and found[-1, 0] == 1
