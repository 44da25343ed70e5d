"""The scan that comes with the package: small, placed right, and without a face."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import iconet

FOLDER = Path(iconet.__file__).parent / "demo_scan"
SCAN = FOLDER / "sub-01_T1w_slab.nii.gz"

# World z in mm of the source scan, read off its sagittal and axial slices.
TOP_OF_ORBITS = -5.0
TOP_OF_BROW_RIDGE = 12.0
TOP_OF_HEAD = 88.0


def test_is_the_only_scan_and_small() -> None:
    assert list(FOLDER.glob("*.nii*")) == [SCAN]
    assert SCAN.stat().st_size < 3e6


def test_lies_above_the_orbits_and_inside_the_head() -> None:
    image = nib.load(SCAN)
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in image.shape])).reshape(3, -1).T
    z = nib.affines.apply_affine(image.affine, corners)[:, 2]
    assert z.min() > TOP_OF_BROW_RIDGE > TOP_OF_ORBITS
    assert z.max() < TOP_OF_HEAD


def test_affine_is_the_source_affine_moved_up_by_the_slices_left_out() -> None:
    image = nib.load(SCAN)
    source = np.array(
        [
            [-0.9, 0, 0, 88.36547],
            [0, 0.9375, 0, -123.148094],
            [0, 0, 0.9375, -145.69688],
            [0, 0, 0, 1],
        ]
    )
    expected = source @ nib.affines.from_matvec(np.eye(3), [0, 0, 172])
    np.testing.assert_allclose(image.affine, expected, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), expected, atol=1e-4)
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")


def test_header_says_nothing_about_the_person_beyond_the_published_name() -> None:
    header = nib.load(SCAN).header
    assert len(header.extensions) == 0
    assert bytes(header["descrip"]).rstrip(b"\0") == b"MyConnectome ds000031 sub-01, axial slab"


def test_simpleitk_reads_the_same_voxels_at_the_same_place() -> None:
    ours, theirs = nib.load(SCAN), sitk.ReadImage(str(SCAN))
    assert theirs.GetPixelIDValue() == sitk.sitkInt16
    np.testing.assert_array_equal(np.asarray(ours.dataobj), sitk.GetArrayFromImage(theirs).T)
    # ITK's world is left-posterior-superior, NIfTI's right-anterior-superior.
    voxel = (17, 101, 30)
    point = np.array(theirs.TransformIndexToPhysicalPoint(voxel)) * (-1, -1, 1)
    assert point == pytest.approx(nib.affines.apply_affine(ours.affine, voxel), abs=1e-4)


def test_holds_a_head_in_every_slice() -> None:
    voxels = np.asarray(nib.load(SCAN).dataobj)
    assert voxels.shape == (192, 256, 32)
    assert voxels.dtype == np.int16
    assert voxels.min() == 0
    assert (np.mean(voxels > 100, axis=(0, 1)) > 0.15).all()
