"""Siemens mosaics are cut into their slices where their header says exactly where these are."""

import shutil
import subprocess
import warnings

import nibabel
import numpy as np
import pydicom
import pytest

from iconet.images import read
from iconet.images.dicom.derived import write_series
from iconet.images.dicom.series import read_series

from ..mosaics import csa, mosaic_of
from ..scanned import MADE, by_simpleitk, finer
from ..slices import AFFINE, OBLIQUE, enhanced_of, numbers, refusal, save

SHAPE = (12, 10, 7)


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("reversed_normal", [False, True])
def test_every_voxel_is_where_it_was_measured(tmp_path, affine, reversed_normal):
    stored = numbers(SHAPE)
    made = mosaic_of(stored, affine, reversed_normal=reversed_normal)
    scan = read_series(save(made, tmp_path / "mosaic.dcm"))
    np.testing.assert_array_equal(scan.array, stored)
    np.testing.assert_allclose(scan.affine, affine, atol=1e-4)
    assert len(scan.dicom) == 7 and scan.dicom[0].Rows == 10
    assert not any("MOSAIC" in header.ImageType for header in scan.dicom)


def test_nibabel_reads_the_same(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is experimental
        from nibabel.nicom.dicomwrappers import wrapper_from_data
    made = mosaic_of(numbers(SHAPE), OBLIQUE)
    theirs = wrapper_from_data(made)
    ours = read_series(save(made, tmp_path / "mosaic.dcm"))
    # Theirs is LPS+ with rows first, not rescaled.
    np.testing.assert_array_equal(np.moveaxis(theirs.get_unscaled_data(), 0, 1), ours.array)
    world = np.diag([-1, -1, 1, 1]) @ theirs.affine @ np.eye(4)[[1, 0, 2, 3]]
    np.testing.assert_allclose(world, ours.affine, atol=1e-4)


def test_several_mosaics_are_several_volumes(tmp_path):
    for number in range(2):
        save(mosaic_of(numbers(SHAPE), AFFINE), tmp_path / f"{number}.dcm")
    assert "14 slices at 7 positions" in refusal(tmp_path)


def without_csa(made):
    del made[0x0029, 0x1010]


def damaged(made):
    made[0x0029, 0x1010].value = b"SV10" + bytes(range(200))


def endless(made):
    made[0x0029, 0x1010].value = csa(NumberOfImagesInMosaic=("US", "999999999"))


def no_step(made):
    del made.SpacingBetweenSlices


def odd(made):
    made.Rows = made.Rows - 1
    made.PixelData = made.PixelData[: 2 * made.Rows * made.Columns]


@pytest.mark.parametrize("spoil", [without_csa, damaged, endless, no_step, odd])
def test_what_does_not_say_where_its_slices_are_is_refused(tmp_path, spoil):
    made = mosaic_of(numbers(SHAPE), AFFINE)
    spoil(made)
    line = refusal(save(made, tmp_path / "mosaic.dcm"))
    assert "Siemens mosaic" in line and "dcm2niix" in line


@pytest.mark.parametrize(
    "tags",
    [
        {"SliceNormalVector": ("FD", "1.0", "0.0", "0.0")},
        {"SliceNormalVector": ("FD", "0.0", "0.0", "0.0")},
        {"ProtocolSliceNumber": ("IS", "9")},
    ],
)
def test_slices_that_are_not_parallel_or_reversed_are_refused(tmp_path, tags):
    line = refusal(save(mosaic_of(numbers(SHAPE), AFFINE, **tags), tmp_path / "mosaic.dcm"))
    assert "dcm2niix" in line


def test_an_image_that_has_lost_the_word_is_known_by_siemens_count(tmp_path):
    made = mosaic_of(numbers(SHAPE), AFFINE)
    made.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    block = made.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", 7)
    assert read(save(made, tmp_path / "mosaic.dcm")).array.shape == SHAPE


def test_a_multi_frame_file_that_says_mosaic_is_none(tmp_path):
    stored = numbers()
    made = enhanced_of(stored, AFFINE, [1.0] * 4, range(4))
    made.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    scan = read_series(save(made, tmp_path / "enhanced.dcm"))
    np.testing.assert_array_equal(scan.array, stored - 100.0)


def test_dcm2niix_agrees(tmp_path):
    if shutil.which("dcm2niix") is None:
        pytest.skip("pip install 'iconet[test]'")
    made = mosaic_of(numbers((48, 40, 7)), OBLIQUE)
    made.SoftwareVersions, made.PatientID, made.StudyDate = "syngo MR B17", "0", "20200101"
    save(made, tmp_path / "mosaic.dcm")
    (tmp_path / "out").mkdir()
    subprocess.run(["dcm2niix", "-o", tmp_path / "out", "-f", "m", "-z", "n", tmp_path], check=True)
    theirs = nibabel.load(tmp_path / "out/m.nii")
    ours = read(tmp_path / "mosaic.dcm")
    to_ours = np.linalg.inv(ours.affine) @ theirs.affine
    places = np.stack(np.meshgrid(*map(np.arange, theirs.shape), indexing="ij"))
    at = np.einsum("ab,bijk->aijk", to_ours[:3, :3], places) + to_ours[:3, 3, None, None, None]
    assert np.abs(at - at.round()).max() < 1e-2
    found = ours.array[tuple(at.round().astype(int))]
    np.testing.assert_array_equal(found, theirs.get_fdata())


def test_a_derived_series_has_slices_that_other_readers_place_alike(tmp_path):
    scan = read(save(mosaic_of(numbers(SHAPE), OBLIQUE), tmp_path / "mosaic.dcm"))
    bigger = finer(scan)
    files = write_series(bigger, scan.dicom, tmp_path / "out", provenance=MADE)
    array, affine = by_simpleitk(tmp_path / "out")
    np.testing.assert_allclose(array, bigger.array)
    np.testing.assert_allclose(affine, bigger.affine, atol=1e-3)
    assert "MOSAIC" not in pydicom.dcmread(files[0]).ImageType
