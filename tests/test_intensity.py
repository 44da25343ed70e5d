"""What counts as bright and as dark in a volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iconet.intensity import dark_level, robust_scale


def test_robust_scale_ignores_background_and_outliers():
    volume = np.zeros((50, 50, 50), np.float32)
    volume[:25] = 200
    volume[0, 0, :5] = 1e6
    assert robust_scale(volume) == 200
    assert robust_scale(-volume) == 200


@pytest.mark.parametrize(("value", "scale"), [(0, 1), (3, 3), (-3, 3)])
def test_robust_scale_of_a_constant(value, scale):
    assert robust_scale(np.full((4, 5, 6), value, np.float32)) == scale


@given(st.integers(0, 2**31))
def test_robust_scale_is_the_percentile_of_what_exceeds_the_mean(seed):
    volume = np.random.default_rng(seed).standard_normal((3, 11, 9)).astype(np.float32)
    magnitude = np.sort(np.abs(volume), axis=None)
    bright = magnitude[magnitude > magnitude.mean(dtype=np.float64)]
    expected = bright[max(1, round(0.995 * len(bright))) - 1]
    assert robust_scale(volume) == expected == robust_scale(volume.reshape(1, -1))


def test_the_dark_level_is_that_of_the_background():
    head = np.zeros((4, 32, 32), np.float32)
    head[:, 8:24, 8:24] = 1 + np.random.default_rng(0).random((4, 16, 16))
    assert dark_level(head) == 0 == dark_level(head + 1)
    assert dark_level(head - 1000) == -1000
    ringing = head.copy()
    ringing[:, 4, 4:20] = -0.2
    assert dark_level(ringing) == 0
