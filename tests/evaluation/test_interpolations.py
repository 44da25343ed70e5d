"""Every interpolation keeps the field of view: nothing moves in millimetres."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from iconet.evaluation.interpolations import METHODS, bicubic, cubic_b_spline, nearest, zero_filling

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


@pytest.mark.parametrize("method", ["linear", "bicubic", "cubic-b-spline", "lanczos"])
def test_a_ramp_stays_the_same_ramp_inside(method, factor):
    ramp = np.broadcast_to(3.0 * np.arange(48), (2, 16, 48))
    bigger = METHODS[method](ramp, factor)
    inside = slice(16 * factor, -16 * factor)
    expected = 3.0 * centres(48, factor)
    # These weights are normalised but do not reproduce ramps exactly.
    tolerance = 0.15 if method in ("lanczos", "bicubic") else 1e-3
    assert np.allclose(bigger[:, :, inside], expected[inside], atol=tolerance)


@pytest.mark.parametrize(("method", "tolerance"), [(cubic_b_spline, 1e-3), (zero_filling, 5e-4)])
def test_smooth_structure_is_recovered(method, tolerance, factor):
    small = blob(np.arange(24), np.arange(32))
    truth = blob(centres(24, factor), centres(32, factor))
    assert np.abs(method(small[None], factor)[0] - truth).max() < tolerance


def test_bicubic_is_cubic_convolution(factor):
    """Keys' kernel, a=-0.75, at the output voxels' centres, computed here from its formula."""
    a = -0.75
    signal = np.random.default_rng(2).random(24)

    def kernel(x):
        x = np.abs(x)
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0))

    weights = kernel(centres(24, factor)[:, None] - np.arange(24))
    inside = slice(2 * factor, -2 * factor)
    bigger = bicubic(np.broadcast_to(signal, (1, 16, 24)), factor)
    assert np.allclose(bigger[0, :, inside], (weights @ signal)[inside], atol=1e-5)


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
