"""Enlarging without a network: what the result owes to its input."""

import numpy as np
import pytest
import torch

from iconet.evaluation.interpolations import cubic_b_spline, zero_filling
from iconet.evaluation.metrics import psnr
from iconet.physics.kspace import crop_kspace
from iconet.upscaling.interpolation import _average_weights, _periodic_weights, interpolate

from .conftest import noise


def enlarged(volume, steps, shape=None):
    shape = shape or [round(n / steps.get(axis, 1)) for axis, n in enumerate(volume.shape)]
    out = np.full(shape, np.nan, np.float32)
    interpolate(volume, out, steps)
    return out


def body(size=64, slices=3):
    """Soft tissue in air, with bone and metal, at `size` pixels a side; smooth but for its rims."""
    y, x = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    image = np.where(np.hypot(x, y) < 0.75, 40 + 30 * np.sin(9 * x) * np.cos(7 * y), -1000)
    image[np.hypot(x - 0.2, y) < 0.15] = 900
    image[np.hypot(x + 0.3, y) < 0.03] = 3000
    return np.repeat(image[..., None], slices, axis=2).astype(np.float32)


PLANE = {0: 0.5, 1: 0.5}


@pytest.mark.parametrize("steps", [PLANE, {0: 0.25, 1: 0.25}, {2: 0.5}, {0: 0.7, 1: 1.6, 2: 0.4}])
def test_a_result_stays_near_what_is_around_it_and_follows_offset_and_scale(steps):
    volume = noise(20, 24, 6)
    made = enlarged(volume, steps)
    assert np.isfinite(made).all()
    assert made.min() >= volume.min() and made.max() <= volume.max() + 0.25 * np.ptp(volume)
    np.testing.assert_allclose(enlarged(volume - 1000, steps), made - 1000, atol=2e-3)
    np.testing.assert_allclose(enlarged(3 * volume, steps), 3 * made, rtol=1e-4, atol=1e-3)


def test_flat_parts_stay_flat_and_nothing_becomes_negative():
    volume = body()
    made = enlarged(volume, PLANE)
    assert (made[:8, :8] == -1000).all()
    counts = np.maximum(volume, 0)
    assert enlarged(counts, PLANE).min() == 0
    constant = np.full((20, 24, 3), -7, np.float32)
    assert (enlarged(constant, PLANE) == -7).all()


def test_averages_over_the_old_voxels_are_the_input():
    volume = body(64) + noise(64, 64, 3) * 0.1
    made = enlarged(volume, PLANE).reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert abs(made.mean() - volume.mean()) < 5  # HU; air cannot undershoot
    # As near as the band allows: a step is sharper than any average.
    y, x = np.ogrid[-1:1:64j, -1:1:64j]
    inside = np.hypot(x - 0.2, y) < 0.08
    assert np.abs(made - volume)[inside].max() < 20  # of noise of 3 and steps of 900
    ramp = np.add.outer(np.arange(24.0), 2 * np.arange(20.0)).astype(np.float32)
    back = enlarged(ramp, PLANE).reshape(24, 2, 20, 2).mean((1, 3))
    np.testing.assert_allclose(back[4:-4, 4:-4], ramp[4:-4, 4:-4], atol=0.1)


@pytest.mark.parametrize(("old", "new"), [(9, 18), (8, 32), (12, 17), (1, 2)])
def test_one_part_has_the_averages_of_the_input(old, new):
    weights = _average_weights(old, new, old / new)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    if new % old == 0:
        means = weights.reshape(old, old, new // old).mean(axis=2)
        np.testing.assert_allclose(means, np.eye(old), atol=1e-9)


@pytest.mark.parametrize("size", [9, 16])
def test_the_other_part_is_zero_filling(size):
    stack = noise(1, size, size)
    weights = _periodic_weights(size, 2 * size, 0.5)
    expected = zero_filling(stack, 2)[0]
    np.testing.assert_allclose(weights.T @ stack[0] @ weights, expected, atol=1e-3)
    # A coarser grid gets no frequency that it cannot hold.
    wave = np.cos(2 * np.pi * 4 / size * np.arange(size))
    assert np.abs(wave @ _periodic_weights(size, size // 2, size / (size // 2) * 1.1)).max() < 1e-9


@pytest.mark.parametrize("lowered", ["crop", "mean"])
def test_it_is_as_good_as_the_better_of_two_usual_ones(lowered):
    rng = np.random.default_rng(1)
    truth = np.moveaxis(body(96) + rng.normal(0, 10, (96, 96, 3)), -1, 0).astype(np.float32) + 1000
    if lowered == "crop":
        low = crop_kspace(torch.from_numpy(truth), 2).real.numpy().astype(np.float32)
    else:
        low = truth.reshape(3, 48, 2, 48, 2).mean((2, 4))
    made = enlarged(np.moveaxis(low, 0, -1), PLANE)
    usual = max(psnr(method(low, 2), truth) for method in (zero_filling, cubic_b_spline))
    assert psnr(np.moveaxis(made, -1, 0), truth) > usual - 0.1


def test_a_picture_is_one_slice_and_progress_is_told():
    image, seen = noise(20, 24), []
    out = np.empty((40, 48), np.float32)
    interpolate(image, out, PLANE, lambda *step: seen.append(step))
    assert seen == [(1, 1)]
    volume = np.repeat(image[..., None], 3, axis=2)
    np.testing.assert_array_equal(enlarged(volume, PLANE)[..., 1], out)
