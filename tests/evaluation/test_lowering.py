"""Test scans are degraded as stated, the same each time, and nothing moves."""

import numpy as np
import pytest
import torch

from iconet.evaluation.interpolations import zero_filling
from iconet.evaluation.lowering import WAYS, lower
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace

from .conftest import blobs

IN_PLANE = ["kspace-crop", "windowed", "blurred", "noisy"]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_scan_is_degraded_the_same_way_and_another_otherwise(way):
    stack = blobs((32, 64, 64))
    first, again = (lower(stack, way, 2, name="a.nii") for _ in range(2))
    assert torch.equal(first.magnitude, again.magnitude)
    assert first.magnitude.min() >= 0
    assert first.magnitude.dtype == torch.float32
    assert first.truth.shape[1] == 2 * first.magnitude.shape[2]
    assert first.truth.shape[2] == 2 * first.magnitude.shape[3]
    if way in ("noisy", "joint"):
        other = lower(stack, way, 2, name="b.nii")
        assert not torch.equal(first.magnitude, other.magnitude)


@pytest.mark.parametrize("way", IN_PLANE)
def test_smooth_structure_keeps_its_place_and_its_intensity(way):
    stack = blobs()
    low = lower(stack, way, 2, name="a.nii")
    bigger = zero_filling(low.magnitude[:, 0].numpy(), 2)
    error = np.sqrt(np.mean((bigger - low.truth) ** 2)) / low.truth.std()
    moved = np.sqrt(np.mean((np.roll(bigger, 1, axis=2) - low.truth) ** 2)) / low.truth.std()
    assert error < 0.17
    assert moved > 1.5 * error


def test_noise_has_its_stated_size():
    stack = np.full((4, 64, 64), 500, np.float32)
    low = lower(stack, "noisy", 2, name="a.nii").magnitude
    assert float(low.std()) == pytest.approx(0.02 * 500, rel=0.05)


def test_every_so_manieth_slice_is_kept_from_the_middle_of_each():
    stack = blobs((13, 64, 64))
    low = lower(stack, "kspace-crop", 2, every=4)
    assert np.array_equal(low.truth, stack[[2, 6, 10]])
    # Together, as a Fourier transform of one slice alone may round otherwise.
    expected = crop_kspace(torch.from_numpy(stack[[2, 6, 10]])[:, None], 2).abs()
    assert torch.allclose(low.magnitude[1, 0], expected[1, 0])
    assert len(lower(stack[:2], "kspace-crop", 2, every=8).truth) == 1


@pytest.mark.parametrize("factor", [2, 4])
def test_a_joint_scan_is_measured_on_a_quarter_of_its_lines(factor):
    stack = blobs((3, 72, 88))
    low = lower(stack, "joint", factor, name="a.nii")
    height, width = low.magnitude.shape[2:]
    assert height % 4 == width % 4 == 0
    assert np.array_equal(low.truth[:, :72, :88], stack)
    assert not low.truth[:, 72:].any() and not low.truth[:, :, 88:].any()
    lines = low.samples.mask.sum(dim=-1).flatten()
    assert lines.tolist() == [round(width / 4)] * 3
    image = torch.complex(low.parts[:, :1], low.parts[:, 1:])
    assert torch.allclose(image.abs(), low.magnitude)
    assert torch.allclose(fft2c(image), low.samples.kspace, atol=1e-2)
    assert not torch.equal(low.samples.mask[0], low.samples.mask[1])


def test_through_plane_slices_are_thick_along_one_axis():
    stack = np.zeros((35, 48, 64), np.float32)
    stack[10:14] = 100  # a slab of slices
    low = lower(stack, "through-plane", 2)
    assert low.truth.shape == (48, 32, 64)  # 3 of the 35 slices are dropped, around the middle
    assert np.array_equal(low.truth[5, :, 7] > 0, [9 <= i < 13 for i in range(32)])
    profile = low.magnitude[5, 0, :, 7]
    assert profile.shape == (16,)
    assert float(profile.sum()) == pytest.approx(4 * 100 / 2, rel=0.01)  # the same signal
    assert float(profile[5]) < 100  # neighbours are seen too


def test_what_would_be_smaller_than_networks_take_is_none():
    stack = blobs((3, 32, 64))
    assert lower(stack, "kspace-crop", 2) is not None
    assert lower(stack, "kspace-crop", 4) is None
    assert lower(blobs((24, 64, 64)), "through-plane", 2) is None
