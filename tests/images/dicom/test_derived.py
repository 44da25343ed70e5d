import copy
import errno
import os
import shutil
import subprocess
from dataclasses import replace

import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import given
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.dicom import derived
from iconet.images.dicom.derived import check_folder, write_series
from iconet.images.dicom.series import read_series

from ...images.grids import affines
from ...images.scanned import (
    MADE,
    RANGES,
    assert_holds,
    by_simpleitk,
    finer,
    modalities,
    source_of,
    validator_errors,
)
from ...images.slices import REAL


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def refusal(scan, headers, folder):
    before = sorted(os.listdir(folder.parent)) if folder.parent.is_dir() else None
    with pytest.raises(InputError) as error:
        write_series(scan, headers, folder, provenance=MADE)
    assert "\n" not in str(error.value)
    if before is not None:
        assert sorted(os.listdir(folder.parent)) == before
    return str(error.value)


@modalities
def test_another_reader_finds_the_same_values_at_the_same_places(tmp_path, modality):
    scan, headers = source_of(modality)
    scan = finer(scan, (2, 2, 2))
    files = write_series(scan, headers, tmp_path / "out", provenance=MADE)
    assert files == sorted((tmp_path / "out").iterdir())
    step = np.ptp(scan.array) / 2000  # half of it is 1/4000 of the range
    assert_holds(*by_simpleitk(tmp_path / "out"), scan, step)


@modalities
def test_it_is_read_and_derived_from_again(tmp_path, modality):
    scan, headers = source_of(modality)
    write_series(finer(scan), headers, tmp_path / "once", provenance=MADE)
    once = read_series(tmp_path / "once")
    twice = finer(once, (1, 1, 2))
    write_series(twice, once.dicom, tmp_path / "twice", provenance=MADE)
    series = read_series(tmp_path / "twice")
    assert_holds(series.array, series.affine, twice, np.ptp(scan.array) / 2000)
    assert series.dicom[0].SeriesInstanceUID not in (once.dicom[0].SeriesInstanceUID, "")
    names = {header.SOPInstanceUID for header in once.dicom}
    for header in series.dicom:
        assert {s.ReferencedSOPInstanceUID for s in header.SourceImageSequence} <= names
        assert len(header.ContributingEquipmentSequence) == 2


@given(affines())
def test_any_orientation_keeps_its_place(tmp_path, affine):
    scan, headers = source_of("CT", affine, (3, 4, 3))
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    write_series(scan, headers, tmp_path / "out", provenance=MADE)
    assert_holds(*by_simpleitk(tmp_path / "out"), scan, 1)


@modalities
def test_dcm2niix_converts_it_to_the_same_volume(tmp_path, modality):
    needs("dcm2niix")
    scan, headers = source_of(modality)
    scan = finer(scan)
    write_series(scan, headers, tmp_path / "out", provenance=MADE)
    command = ["dcm2niix", "-b", "n", "-z", "n", "-f", "all", "-o", tmp_path, tmp_path / "out"]
    subprocess.run(command, check=True, capture_output=True)
    image = nibabel.load(tmp_path / "all.nii")
    # dcm2niix writes the affine in single precision, and PET with one slope for all slices
    assert_holds(image.get_fdata(), image.affine, scan, np.ptp(scan.array) / 2000)


@modalities
def test_the_validator_finds_no_new_error(tmp_path, modality):
    needs("dciodvfy")
    scan, headers = source_of(modality)
    old = copy.deepcopy(headers[0])
    old.file_meta = FileMetaDataset()
    old.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    old.SamplesPerPixel, old.PhotometricInterpretation = 1, "MONOCHROME2"
    old.BitsAllocated = old.BitsStored = 16
    old.HighBit, old.PixelRepresentation = 15, 1
    if modality == "PT":
        old.RescaleSlope, old.RescaleIntercept = 1.5, 0
    old.add_new("PixelData", "OW", bytes(2 * 48))
    old.save_as(tmp_path / "source.dcm", enforce_file_format=True)

    thin = finer(scan, (2, 2, 3))
    for number, new in enumerate((finer(scan), replace(thin, array=thin.array / 1000))):
        files = write_series(new, headers, tmp_path / f"{number}", provenance=MADE)
        before = validator_errors(tmp_path / "source.dcm")
        assert validator_errors(files[0]) | validator_errors(files[-1]) <= before


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_nothing_is_left_when_it_is_cut_short(tmp_path, monkeypatch, stop):
    scan, headers = source_of("CT")
    save = derived._save

    def failing(image, path):
        save(image, path)
        if path.name == "00002.dcm":
            raise stop

    monkeypatch.setattr(derived, "_save", failing)
    expected = KeyboardInterrupt if isinstance(stop, KeyboardInterrupt) else InputError
    with pytest.raises(expected, match="disk is full" if expected is InputError else None):
        write_series(scan, headers, tmp_path / "out", provenance=MADE)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path):
    scan, headers = source_of("CT")
    (tmp_path / "out").mkdir()
    write_series(scan, headers, tmp_path / "out", provenance=MADE)
    assert os.listdir(tmp_path) == ["out"] and len(os.listdir(tmp_path / "out")) == 3
    assert "exists already" in refusal(scan, headers, tmp_path / "out")
    assert "create it first" in refusal(scan, headers, tmp_path / "no" / "out")


def test_the_source_folder_is_never_written_into(tmp_path):
    scan, headers = source_of("CT")
    folder = tmp_path / "scan"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    scan = replace(scan, path=folder)
    for place in (folder, folder / "new", tmp_path / "link" / "new"):
        assert "outside the input" in refusal(scan, headers, place)
    headers[0].filename = str(folder / "1.dcm")
    assert "outside the input" in refusal(replace(scan, path=None), headers, folder)
    check_folder(tmp_path / "other", [folder])
    assert sorted(os.listdir(tmp_path)) == ["link", "scan"]


def test_what_a_classic_series_cannot_hold_is_refused(tmp_path):
    scan, headers = source_of("CT")
    out = tmp_path / "out"
    assert "one by one" in refusal(replace(scan, array=scan.array[..., None]), headers, out)
    assert "one by one" in refusal(replace(scan, affine=None), headers, out)
    array = scan.array.copy()
    array[1, 1, 1] = np.nan
    assert "NaN" in refusal(replace(scan, array=array), headers, out)
    sheared = scan.affine @ (np.eye(4) + 0.01 * np.eye(4, k=1) * [[1], [0], [0], [0]])
    assert "right angles" in refusal(replace(scan, affine=sheared), headers, out)
    assert "singular" in refusal(replace(scan, affine=np.zeros((4, 4))), headers, out)
    assert "MR, CT and classic PET" in refusal(scan, [], out)
    headers[0].Modality = "US"
    assert "MR, CT and classic PET" in refusal(scan, headers, out)
    headers[0].Modality = "CT"
    del headers[1].ImagePositionPatient
    assert "no position" in refusal(scan, headers, out)


@pytest.mark.parametrize("name", ["ct_abdomen", "ct_head_ge", "pet_wholebody"])
def test_headers_of_real_scanners(tmp_path, name):
    if not (REAL / name).is_dir():
        pytest.skip("the real series are not on this machine")
    files = sorted((REAL / name).iterdir())
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    headers.sort(key=lambda header: header.ImagePositionPatient[2])
    first, last = headers[0], headers[-1]
    place = np.array(first.ImagePositionPatient, dtype=float)
    cosines = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, :2] = cosines.T * np.array(first.PixelSpacing, dtype=float)[::-1]
    affine[:3, 2] = (np.array(last.ImagePositionPatient, dtype=float) - place) / (len(files) - 1)
    affine[:3, 3] = place
    low, high = RANGES[first.Modality]
    array = np.random.default_rng(0).uniform(low, high, (4, 4, len(files))).astype(np.float32)
    scan = finer(Scan(array, np.diag([-1, -1, 1, 1]) @ affine))
    written = write_series(scan, headers, tmp_path / "out", provenance=MADE)
    image = pydicom.dcmread(written[3])
    expected = scan.affine @ [0, 0, 3, 1]
    np.testing.assert_allclose(image.ImagePositionPatient, expected[:3] * [-1, -1, 1], atol=1e-6)
    assert image.StudyInstanceUID
    if name != "ct_head_ge":  # a tilted gantry, which SimpleITK cannot hold
        assert_holds(*by_simpleitk(tmp_path / "out"), scan, np.ptp(scan.array) / 2000)
    if shutil.which("dciodvfy"):
        # An anonymiser emptied these in one of the series, and the validator stops there.
        old = pydicom.dcmread(files[3])
        old.SOPClassUID = old.file_meta.MediaStorageSOPClassUID
        old.SOPInstanceUID = old.file_meta.MediaStorageSOPInstanceUID
        old.save_as(tmp_path / "source.dcm")
        assert validator_errors(written[3]) <= validator_errors(tmp_path / "source.dcm")
