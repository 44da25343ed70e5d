"""Resampling against signals whose value is known everywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iconet.upscaling.resampling import resample_axis


def wave(positions, length, k):
    """A cosine of k half periods over the field of view, at positions in voxels."""
    return 3 + np.cos(np.pi * k * (positions + 0.5) / length)


@given(st.integers(2, 90), st.integers(1, 120), st.floats(0.1, 6), st.data())
def test_band_limited_signals_are_exact_at_any_spacing(length, size, step, data):
    # Below the Nyquist frequencies of both grids.
    k = data.draw(st.integers(0, max(0, int(min(length, length / step) - 1e-3) - 1)))
    positions = (length - 1) / 2 + (np.arange(size) - (size - 1) / 2) * step
    out = resample_axis(wave(np.arange(length), length, k)[:, None], 0, size, step)
    np.testing.assert_allclose(out[:, 0], wave(positions, length, k), atol=2e-5)


@pytest.mark.parametrize(("step", "k"), [(2, 10), (2, 13), (1.6, 13), (2.5, 8)])
def test_what_the_new_grid_cannot_hold_is_left_out_and_no_alias_comes(step, k):
    """At and above the new Nyquist frequency of 20 voxels nothing but the mean remains."""
    out = resample_axis(wave(np.arange(20), 20, k)[None], 1, round(20 / step), step)
    np.testing.assert_allclose(out, 3, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_other_axes_keep_their_place(axis):
    volume = np.random.default_rng(0).random((7, 8, 9)).astype(np.float32)
    out = resample_axis(volume, axis, 5, 1.7)
    for index in np.ndindex(*(size for i, size in enumerate(volume.shape) if i != axis)):
        chosen = (*index[:axis], slice(None), *index[axis:])
        alone = resample_axis(volume[chosen][None], 1, 5, 1.7)[0]
        np.testing.assert_allclose(out[chosen], alone, atol=1e-6)


def test_the_same_grid_gives_the_same_values():
    volume = np.random.default_rng(0).normal(size=(6, 30)).astype(np.float32)
    np.testing.assert_allclose(resample_axis(volume, 1, 30, 1), volume, atol=1e-5)


def test_an_edge_of_the_field_of_view_does_not_ring_at_the_other_one():
    """A slab is not periodic: what lies at its first slice is not seen at its last."""
    ramp = np.linspace(0, 100, 40)[None]
    out = resample_axis(ramp, 1, 33, 40 / 33)[0]
    assert abs(out[0] - 1.3) < 2 and abs(out[-1] - 98.7) < 2


def test_writes_into_any_strides():
    volume = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    out = np.zeros((7, 11, 5), np.float32, order="F").transpose(2, 1, 0)
    assert resample_axis(volume, 1, 11, 6 / 11, out) is out
    np.testing.assert_array_equal(out, resample_axis(volume, 1, 11, 6 / 11))
