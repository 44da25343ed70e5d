"""Scans with the headers of a scanner, to derive series from, and independent readers of these."""

import copy
import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from iconet.images import Scan, scaled_affine
from iconet.images.dicom.derived_header import REQUIRED, SOP_CLASSES, Provenance

SHA256 = "5d" * 32
MADE = Provenance("iconet", "1.2.3", "mri-x2", SHA256, 2.0)
RANGES = {"MR": (0, 1300), "CT": (-1024, 1900), "PT": (0, 52000)}
modalities = pytest.mark.parametrize("modality", ["MR", "CT", "PT"])
OBLIQUE = np.array(
    [[-0.9, 0.1, 0.4, 20], [-0.1, -0.88, 0.9, -30], [0.09, -0.19, 3.87, 9], [0, 0, 0, 1.0]]
)


def orthogonal(affine):
    """The nearest affine whose axes are at right angles."""
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    result = affine.copy()
    result[:3, :3] = left @ right * np.linalg.norm(affine[:3, :3], axis=0)
    return result


def pet_header():
    """A PET image as the standard asks for it."""
    header = Dataset()
    header.SOPClassUID = SOP_CLASSES["PT"]
    header.Modality = "PT"
    header.ImageType = ["ORIGINAL", "PRIMARY"]
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = "20200102"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = "030405"
    header.ContentDate, header.ContentTime = "20200102", "030406"
    header.StudyInstanceUID, header.SeriesInstanceUID = generate_uid(), generate_uid()
    header.FrameOfReferenceUID = generate_uid()
    for keyword in REQUIRED:
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
