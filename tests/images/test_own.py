"""The mark of a result of iconet: where other programs find it, and that it is found again."""

import gzip
import json
from dataclasses import replace

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iconet.images import from_array, read, to_nibabel, write
from iconet.images.dicom.derived import write_series
from iconet.images.dicom.derived_header import is_derived
from iconet.images.own import OwnResult, describe, is_own, mark, refuse_own

from .scanned import MADE, finer, modalities, source_of
from .slices import save_all, slices_of

MARK = mark("mri-x2", 2)
SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]


def nifti(path, description=b""):
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    image.header["descrip"] = description
    image.to_filename(path)
    return read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_is_found_again_in_every_format_with_a_header(tmp_path, suffix):
    scan = nifti(tmp_path / "scan.nii")
    path = tmp_path / f"out{suffix}"
    write(scan, path, like=scan)
    assert not is_own(path)
    refuse_own(read(path))
    write(replace(scan, mark=MARK), path, like=scan)
    assert is_own(path)
    with pytest.raises(OwnResult, match=r"is a result of iconet already; .* or --again"):
        refuse_own(read(path))
    image = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).T, scan.array)


def test_other_programs_show_it(tmp_path):
    scan = replace(nifti(tmp_path / "scan.nii"), mark=MARK)
    write(scan, tmp_path / "a.nii", like=scan)
    assert nibabel.load(tmp_path / "a.nii").header["descrip"].item() == MARK.encode()
    write(scan, tmp_path / "a.nrrd", like=scan)
    assert SimpleITK.ReadImage(str(tmp_path / "a.nrrd")).GetMetaData("iconet") == MARK
    write(scan, tmp_path / "a.mha", like=scan)
    assert f"Comment = {MARK}".encode() in (tmp_path / "a.mha").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_say_it_as_their_software(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    scan = from_array(np.arange(64, dtype=np.uint8).reshape(8, 8))
    write(scan, path, like=scan)
    assert not is_own(path)
    write(replace(scan, mark=MARK), path, like=scan)
    assert is_own(path)
    with Image.open(path) as picture:
        said = picture.tag_v2[305] if suffix == ".tif" else picture.info["Software"]
        assert said == MARK
        np.testing.assert_array_equal(np.asarray(picture), scan.array)


@given(st.binary(max_size=80))
def test_a_description_stays_and_the_mark_is_found_whatever_it_is(description):
    header = nibabel.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)).header
    header["descrip"] = description
    before = header["descrip"].item().rstrip(b"\0 ")
    describe(header, MARK)
    assert header["descrip"].item().startswith(before)
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4), header)
    again = nibabel.Nifti1Image.from_bytes(image.to_bytes())
    scan = replace(from_array(np.zeros((2, 2, 2))), header=again.header)
    with pytest.raises(OwnResult):
        refuse_own(scan)


def test_the_mark_goes_with_an_image_in_memory(tmp_path):
    scan = nifti(tmp_path / "scan.nii", b"T2* run 3")
    image = to_nibabel(replace(scan, mark=MARK))
    assert image.header["descrip"].item() == f"T2* run 3; {MARK}".encode()
    assert not is_own(tmp_path / "scan.nii")


@pytest.mark.parametrize(
    "content",
    [
        {"IconetReport": {}},
        # What dcm2niix makes of a derived series.
        {"SeriesDescription": "T1 iconet 2x, research use, not for diagnosis"},
        {"SeriesDescription": "iconet 1.71x interpolation, research use, not for diagnosis"},
    ],
)
def test_a_sidecar_says_it_too(tmp_path, content):
    nifti(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text(json.dumps({"SeriesDescription": "T1 mprage"}))
    assert not is_own(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert is_own(tmp_path / "a.nii.gz")


@modalities
@pytest.mark.parametrize(
    "stripped",
    [
        (),
        ("ContributingEquipmentSequence",),
        ("ContributingEquipmentSequence", "DerivationDescription"),
        ("ContributingEquipmentSequence", "SeriesDescription"),
        ("DerivationDescription", "SeriesDescription"),
    ],
)
def test_a_derived_series_is_known_by_any_of_what_it_says(tmp_path, modality, stripped):
    """Anonymisers and archives drop some of it."""
    scan, headers = source_of(modality)
    assert not any(map(is_derived, headers))
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    for file in files:
        image = pydicom.dcmread(file)
        for keyword in stripped:
            delattr(image, keyword)
        image.save_as(file)
    assert is_own(tmp_path / "out") and is_own(files[0])
    with pytest.raises(OwnResult):
        refuse_own(read(tmp_path / "out"))


def test_a_place_with_another_series_too_is_no_result(tmp_path):
    scan, headers = source_of("MR")
    (tmp_path / "in").mkdir()
    write_series(finer(scan), headers, tmp_path / "in/out", provenance=MADE)
    save_all(slices_of(np.ones((5, 6, 3), np.int16), np.diag([1.0, 1, 2, 1])), tmp_path / "in/scan")
    assert not is_own(tmp_path / "in")
    found = read(tmp_path / "in")
    assert found.array.shape == (5, 6, 3)
    assert found.remarks == (f"{tmp_path / 'in'}: 1 series that iconet made left out",)


def test_what_cannot_be_read_is_no_result(tmp_path):
    for name, content in [
        ("a.nii", b"hello"),
        ("a.nii.gz", gzip.compress(b"hello")),
        ("b.nii.gz", b"\x1f\x8b broken"),
        ("a.nrrd", b"NRRD0004\n" + b"x" * 2_000_000),
        ("a.mha", b"\0" * 100),
        ("a.png", b"no picture"),
        ("a.npy", b"\x93NUMPY"),
        ("a.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 50),
        ("a.h5", b""),
    ]:
        (tmp_path / name).write_bytes(content)
        assert not is_own(tmp_path / name)
    assert not is_own(tmp_path / "missing.nii")
    (tmp_path / "empty").mkdir()
    assert not is_own(tmp_path / "empty")


@pytest.mark.parametrize("text", [b"iconet", b"made by iconet", b"my iconet project 2", b"x2 icon"])
def test_a_description_that_only_has_the_word_is_no_mark(tmp_path, text):
    refuse_own(nifti(tmp_path / "a.nii", text))
