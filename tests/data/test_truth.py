"""The truth is what was acquired, in the plane that is sharp."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from iconet.data.acquired import acquired_matrix
from iconet.data.truth import read_truth, truth_stack
from iconet.errors import InputError
from iconet.images import Scan
from iconet.intensity import dark_level
from iconet.physics.kspace import resize_kspace

from .published import fastmri


def test_a_scan_enlarged_by_the_scanner_is_reduced_to_what_was_acquired():
    acquired = torch.rand(6, 143, 159, generator=torch.Generator().manual_seed(0)) + 5
    enlarged = resize_kspace(acquired, (256, 256)).numpy()
    truth = truth_stack(Scan(np.moveaxis(enlarged, 0, 2), np.eye(4)), "axial")
    matrix = acquired_matrix(enlarged)
    assert matrix[0] <= 150 and matrix[1] <= 166
    # The enlarged scan holds nothing but the acquired one, so reducing either is the same.
    expected = resize_kspace(acquired, matrix).numpy()
    top, left = ((n - size) // 2 for n, size in zip(matrix, truth.shape[1:], strict=True))
    cropped = expected[:, top : top + truth.shape[1], left : left + truth.shape[2]]
    assert not any(size % 8 for size in truth.shape[1:])
    assert np.allclose(truth, cropped, atol=1e-4)


def test_a_scan_without_empty_kspace_is_only_cropped_to_multiples_of_eight():
    array = np.random.default_rng(1).uniform(1, 9, (90, 5, 103)).astype(np.float32)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    truth = truth_stack(Scan(array, affine), "coronal")
    assert np.array_equal(truth, np.moveaxis(array[1:89, :, 3:99], 1, 0))


@pytest.mark.parametrize(
    ("shape", "reason"), [((16, 16, 4, 2), "4 axes"), ((16, 7, 4), "smaller than 8 x 8")]
)
def test_scans_without_slices_to_measure_are_refused(shape: tuple[int, ...], reason: str):
    with pytest.raises(InputError, match=reason):
        truth_stack(Scan(np.ones(shape, np.float32), np.eye(4)), "axial")


def hounsfield() -> np.ndarray:
    """(S, H, W): a body of 40 HU with bone and lung in air, and -3024 outside of the circle."""
    generator = np.random.default_rng(3)
    stack = np.full((4, 64, 64), -1000.0)
    stack[:, 16:48, 12:52] = 40
    stack[:, 20:24, 20:40], stack[:, 30:40, 20:40] = 900, -800
    stack += generator.normal(0, 15, stack.shape)
    stack[:, :2, :4] = -3024
    return stack.round().astype(np.float32)


def test_background_of_hounsfield_units_is_where_upscaling_puts_it():
    stack = hounsfield()
    truth = truth_stack(Scan(np.moveaxis(stack, 0, 2), np.eye(4)), "k", kspace=False)
    given = stack - dark_level(stack)  # what predict_stack gives the network
    assert -1060 < dark_level(stack) < -1000
    assert truth.min() == 0
    assert np.array_equal(truth[given > 0], given[given > 0])
    assert not truth[:, :2, :4].any()  # nothing bright, whatever magnitude is taken of it


@pytest.mark.parametrize(("contrast", "kept"), [("CT", 256), ("PT", 256), ("pet", 256), ("T1w", 0)])
def test_only_what_was_measured_in_kspace_is_reduced_to_it(
    tmp_path: Path, contrast: str, kept: int
):
    smooth = torch.rand(3, 143, 159, generator=torch.Generator().manual_seed(0)) + 5
    enlarged = np.moveaxis(resize_kspace(smooth, (256, 256)).numpy(), 0, 2)
    nib.save(nib.Nifti1Image(enlarged, np.eye(4)), tmp_path / "scan.nii")
    truth = read_truth(tmp_path / "scan.nii", "k", contrast)
    assert truth.shape[1:] == (256, 256) if kept else max(truth.shape[1:]) <= 168


def test_ground_truth_of_fastmri_is_read_slice_by_slice(tmp_path: Path):
    expected = fastmri(tmp_path / "file1.h5", encoded=(128, 80), recon=(64, 72), slices=3)
    truth = read_truth(tmp_path / "file1.h5", "i")
    np.testing.assert_allclose(truth, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["a_mask.nii", "a_dseg.nii", "a_ph.nii", "a_probseg.nii"])
def test_labels_and_phases_in_a_folder_of_scans_are_not_learned_from(tmp_path, name):
    array = (np.random.default_rng(0).uniform(size=(24, 24, 5)) > 0.5).astype(np.uint8)
    nib.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: .* cannot be learned from; take the"):
        read_truth(tmp_path / name, "axial")
