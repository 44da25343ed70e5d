"""Scans as training slices."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from iconet.data import load_volume
from iconet.errors import InputError


def disc(shape: tuple[int, int, int], empty: int, brightness: float) -> np.ndarray:
    """Axial discs, the first and last ``empty`` slices being air."""
    x, y = (np.arange(n) - n / 2 for n in shape[:2])
    inside = np.add.outer(x**2, y**2) < (min(shape[:2]) * 0.4) ** 2
    volume = np.repeat((inside * brightness)[..., None], shape[2], axis=2)
    volume[..., :empty] = volume[..., shape[2] - empty :] = 0
    return volume.astype(np.float32)


def saved(array: np.ndarray, path: Path) -> Path:
    nib.save(nib.Nifti1Image(array, np.diag([1, 1, 4, 1])), path)
    return path


@pytest.mark.parametrize("brightness", [0.01, 1.0, 3000.0])
def test_intensities_are_relative_to_the_bright_tissue(tmp_path: Path, brightness: float) -> None:
    array = disc((40, 48, 6), 0, brightness)
    array[20, 20, 3] *= 50  # one bright vessel
    slices = load_volume(saved(array, tmp_path / "scan.nii.gz"), "axial").slices
    assert slices.dtype == torch.float16
    assert float(slices[0, 20, 24]) == pytest.approx(1.0, abs=0.01)
    assert float(slices[3, 20, 20]) == pytest.approx(50.0, rel=0.01)  # not clipped


def test_empty_slices_are_left_out_and_the_others_keep_their_order(tmp_path: Path) -> None:
    array = disc((40, 48, 9), 2, 100.0)
    array *= np.linspace(0.5, 1, 9)
    slices = load_volume(saved(array, tmp_path / "scan.nii"), "axial").slices
    assert len(slices) == 5
    peaks = slices.float().amax(dim=(1, 2))
    assert torch.equal(peaks, peaks.sort().values)


@pytest.mark.parametrize(("plane", "size"), [("axial", (40, 48)), ("sagittal", (48, 16))])
def test_slices_are_cropped_to_multiples_of_eight_in_the_plane_asked_for(
    tmp_path: Path, plane: str, size: tuple[int, int]
) -> None:
    array = np.random.default_rng(0).random((45, 54, 20)).astype(np.float32) + 1
    slices = load_volume(saved(array, tmp_path / "scan.nii"), plane).slices
    assert slices.shape[1:] == size
    if plane == "axial":  # evenly from both sides
        kept = torch.from_numpy(array[2:42, 3:51, 7])
        scaled = slices[7].float() * (kept.mean() / slices[7].float().mean())
        torch.testing.assert_close(scaled, kept, rtol=2e-3, atol=0)


def test_names_are_kept_and_default_to_the_file(tmp_path: Path) -> None:
    path = saved(disc((40, 40, 4), 0, 1.0), tmp_path / "a scan ü.nii")
    assert load_volume(path, "axial").name == "a scan ü.nii"
    volume = load_volume(path, "axial", "d/1/T1w", "d")
    assert (volume.name, volume.dataset) == ("d/1/T1w", "d")


def test_a_scan_without_anatomy_has_no_slices(tmp_path: Path) -> None:
    path = saved(np.zeros((40, 48, 4), np.float32), tmp_path / "empty.nii")
    assert len(load_volume(path, "axial").slices) == 0


@pytest.mark.parametrize(
    ("array", "plane", "reason"),
    [
        (np.ones((16, 16, 4, 2), np.float32), "axial", "4 axes"),
        (np.ones((16, 16), np.float32), "axial", "axes"),
        (np.ones((6, 40, 40), np.float32), "axial", "smaller than 8 x 8"),
        (np.ones((16, 16, 16), np.float32), "oblique", "plane oblique"),
        (np.full((16, 16, 4), np.nan, np.float32), "axial", "scan.nii"),
        (np.array([1, np.nan], np.float32).repeat(512).reshape(16, 16, 4), "axial", "512 voxels"),
    ],
    ids=["4-D", "2-D", "small", "plane", "NaN", "some NaN"],
)
def test_scans_that_cannot_be_used_are_refused_in_one_line(
    tmp_path: Path, array: np.ndarray, plane: str, reason: str
) -> None:
    path = saved(array, tmp_path / "scan.nii")
    with pytest.raises(InputError, match=reason) as error:
        load_volume(path, plane)
    assert "\n" not in str(error.value)
