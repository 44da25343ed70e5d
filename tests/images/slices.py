"""DICOM series with a known truth, written by pydicom alone, and how they are refused."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from iconet.errors import InputError
from iconet.images.dicom.series import read_series

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PATIENT = "Secret^Name"
REAL = Path(__file__).parents[3] / "shared/data/dicom"
"""Real series, where there are any; never a part of the repository."""
AFFINE = np.array([[-2, 0, 0, 90], [0, -1.5, 0, 70], [0, 0, 3, -40], [0, 0, 0, 1.0]])
# A right-handed oblique one: turned by 30 degrees about the first axis.
OBLIQUE = AFFINE.copy()
OBLIQUE[:3, :3] = [
    [-2, 0, 0],
    [0, -1.5 * np.cos(np.pi / 6), -3 * np.sin(np.pi / 6)],
    [0, -1.5 * np.sin(np.pi / 6), 3 * np.cos(np.pi / 6)],
]


def ds(values):
    """Numbers as the decimal strings of DICOM, of 16 characters at most."""
    return [format_number_as_ds(float(value)) for value in values]


def items(**elements):
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Sequence([item])


def image(stored, sop_class=CTImageStorage, syntax=ExplicitVRLittleEndian):
    """What every image has; stored: integers (rows, columns) or (frames, rows, columns)."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), "1.2.3"
    made.SeriesNumber, made.Modality, made.PatientName = 4, "CT", PATIENT
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Rows, made.Columns = stored.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = stored.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    made.PixelData = stored.tobytes()
    made["PixelData"].VR = "OW"
    return made


def slices_of(stored, affine, slopes=None, intercept=-100.0):
    """Classic slices of a volume (I, J, K) whose RAS+ affine is given, in the order of K."""
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    made = []
    for k in range(stored.shape[2]):
        plane = image(np.ascontiguousarray(stored[:, :, k].T))
        plane.ImagePositionPatient = ds(lps[:3, 3] + k * lps[:3, 2])
        plane.ImageOrientationPatient = ds([*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])])
        plane.PixelSpacing = ds([spacing[1], spacing[0]])
        plane.SliceThickness = "9"  # not the step
        plane.RescaleSlope = ds([1 if slopes is None else slopes[k]])[0]
        plane.RescaleIntercept = ds([intercept])[0]
        made.append(plane)
    return made


def enhanced_of(stored, affine, slopes, order):
    """One enhanced multi-frame image of the same volume, its frames stored in any order."""
    classic = slices_of(stored, affine, slopes)
    made = image(
        np.ascontiguousarray(np.stack([stored[:, :, k].T for k in order])), EnhancedMRImageStorage
    )
    made.Modality, made.NumberOfFrames = "MR", len(order)
    made.SharedFunctionalGroupsSequence = items(
        PixelMeasuresSequence=items(PixelSpacing=classic[0].PixelSpacing, SliceThickness="9"),
        PlaneOrientationSequence=items(ImageOrientationPatient=classic[0].ImageOrientationPatient),
    )
    made.PerFrameFunctionalGroupsSequence = Sequence(
        items(
            PlanePositionSequence=items(ImagePositionPatient=classic[k].ImagePositionPatient),
            PixelValueTransformationSequence=items(
                RescaleSlope=classic[k].RescaleSlope, RescaleIntercept=classic[k].RescaleIntercept
            ),
        )[0]
        for k in order
    )
    return made


def save(made, path):
    made.save_as(path, enforce_file_format=True)
    return path


def save_all(slices, folder, seed=0):
    """Under names whose order says nothing about the slices'."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(seed).permutation(len(slices))
    for name, made in zip(names, slices, strict=True):
        save(made, folder / f"{name:03d}.dcm")
    return folder


def numbers(shape=(5, 7, 4), dtype=np.int16, top=4000):
    return np.random.default_rng(1).integers(0, top, shape).astype(dtype)


def refusal(path, **choice):
    """The line that says why something is refused: it names the place and a remedy, no patient."""
    with pytest.raises(InputError) as error:
        read_series(path, **choice)
    line = str(error.value)
    assert line.startswith(str(path))
    assert len(line.splitlines()) == 1
    assert ";" in line, "no remedy"
    assert not any(part in line for part in PATIENT.split("^"))
    return line


def every(slices, **elements):
    """Set elements of every slice."""
    for made in slices:
        for keyword, value in elements.items():
            setattr(made, keyword, value)
