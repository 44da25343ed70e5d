"""Every interpolation keeps the field of view: nothing moves in millimetres."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from iconet.evaluation.interpolation import METHODS, cubic, nearest, zero_filling

pytestmark = pytest.mark.parametrize("factor", [2, 4])
every_method = pytest.mark.parametrize("method", list(METHODS))


def centres(size, factor):
    """Where the output voxels' centres lie, in input voxels."""
    return (np.arange(size * factor) + 0.5) / factor - 0.5


def blob(rows, columns, shape=(24, 32), at=(9.3, 17.8), width=2.5):
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * width**2))


@every_method
def test_the_shape_grows_in_plane_only_and_constants_stay(method, factor):
    bigger = METHODS[method](np.full((3, 16, 20), 7.0), factor)
    assert bigger.shape == (3, 16 * factor, 20 * factor)
    assert bigger.dtype == np.float32
    assert np.allclose(bigger, 7.0, rtol=1e-5)


@every_method
def test_the_centre_of_mass_stays_in_millimetres(method, factor):
    small = blob(np.arange(24), np.arange(32))
    bigger = METHODS[method](small[None], factor)[0]
    position = np.array(center_of_mass(np.asarray(bigger, np.float64)))
    assert (position + 0.5) / factor - 0.5 == pytest.approx((9.3, 17.8), abs=0.01)


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos"])
def test_a_ramp_stays_the_same_ramp_inside(method, factor):
    ramp = np.broadcast_to(3.0 * np.arange(48), (2, 16, 48))
    bigger = METHODS[method](ramp, factor)
    inside = slice(16 * factor, -16 * factor)
    expected = 3.0 * centres(48, factor)
    # Lanczos weights are normalised but do not reproduce ramps exactly.
    tolerance = 0.1 if method == "lanczos" else 1e-3
    assert np.allclose(bigger[:, :, inside], expected[inside], atol=tolerance)


@pytest.mark.parametrize(("method", "tolerance"), [(cubic, 1e-3), (zero_filling, 5e-4)])
def test_smooth_structure_is_recovered(method, tolerance, factor):
    small = blob(np.arange(24), np.arange(32))
    truth = blob(centres(24, factor), centres(32, factor))
    assert np.abs(method(small[None], factor)[0] - truth).max() < tolerance


def test_nearest_repeats_voxels(factor):
    small = np.random.default_rng(0).random((2, 5, 6))
    expected = np.kron(small, np.ones((1, factor, factor)))
    assert np.allclose(nearest(small, factor), expected)


@every_method
def test_slices_do_not_mix(method, factor):
    stack = np.random.default_rng(1).random((3, 16, 16))
    together = METHODS[method](stack, factor)
    alone = METHODS[method](stack[1:2], factor)
    assert np.allclose(together[1], alone[0], atol=1e-6)
