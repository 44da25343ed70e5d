"""Writes a scan as a new DICOM series derived from the one it was made from, or not at all.

A derived series says what it is in the places where archives and viewers look (PS3.3 C.7.6.1.1.2,
C.7.6.1.1.4, C.12.1.1.5): its type, how and from which images it was made, by which program. It
stays in the patient's study and frame of reference. Whatever described the source's pixels, and
not the patient, the examination or the scanner's settings, is computed again or left out.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iconet.errors import InputError
from iconet.files import complete_folder, write_errors
from iconet.images.geometry import lps_to_ras
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

SOP_CLASSES = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
RESEARCH = "research use, not for diagnosis"
# `_image` says why.
INVERTED = "The source is MONOCHROME1, shown dark for light; here the same values are MONOCHROME2."
# Rounding to steps of which the range holds half as many is off by less than 1/4000 of it.
STEPS = 4096
# An intercept is rounded to whole steps: one of the 2**16 is left for that.
MOST_STEPS = 2**16 - 2
PET_LARGEST = 2**15 - 1
LONGEST_LO = 64
LONGEST_ST = 1024
# New series numbers; scanners' own stay well below.
FIRST_NUMBER = 9000
# Rows and columns that meet at another angle (as a cosine) are no DICOM image; scanners round the
# cosines to six digits.
RIGHT_ANGLE = 1e-4
# Slices closer than this, in source steps, are the same place.
SAME_PLACE = 1e-2

# Group 0028 describes the pixels: all of it goes but what stays true of a derived image.
KEPT_OF_PIXELS = (
    "CorrectedImage",
    "QualityControlImage",
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
    "LongitudinalTemporalInformationModified",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
WINDOW = (
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
)
# Files and media (0002, 0004, FFFA signatures), overlays, curves and pixels themselves, encrypted
# and original attributes (0400), icons and storage (0088), presentation (2050), data set padding.
DROPPED_GROUPS = {0x0002, 0x0004, 0x0028, 0x0088, 0x0400, 0x2050, 0x4FFE, 0x7FE0, 0xFFFA, 0xFFFC}
DROPPED = {
    # Of the source's instances and of the step that made them
    "SOPInstanceUID",
    "InstanceCreatorUID",
    "InstanceNumber",
    "OriginalSpecializedSOPClassUID",
    "RelatedGeneralSOPClassUID",
    "RetrieveAETitle",
    "InstanceAvailability",
    "QueryRetrieveLevel",
    "ReferencedPerformedProcedureStepSequence",
    "SourceImageSequence",
    "DerivationDescription",
    "DerivationCodeSequence",
    "ImagesInAcquisition",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    # Of its grid; readers take the mosaics of Siemens from the acquisition matrix
    "AcquisitionMatrix",
    "SpatialResolution",
    "ReconstructionPixelSpacing",
    "SpacingBetweenSlices",
    "SliceLocation",
    "RealWorldValueMappingSequence",
    # Of enhanced images
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence",
    "DimensionOrganizationType",
    "DimensionIndexSequence",
    "FrameType",
    "FrameContentSequence",
    "FrameLaterality",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationUID",
    "ConcatenationFrameOffsetNumber",
    "SOPInstanceUIDOfConcatenationSource",
}
# Required, though empty where unknown; anonymisers delete them.
REQUIRED = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "Manufacturer",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "PositionReferenceIndicator",
)
REQUIRED_OF = {
    "MR": (
        *("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"),
        "PatientPosition",
    ),
    "CT": ("KVP", "AcquisitionNumber", "PatientPosition"),
    "PT": (),
}
# What an image made from another one is; PET's own module (C.8.9.4.1.1) knows no SECONDARY.
KIND = {"MR": "SECONDARY", "CT": "SECONDARY", "PT": "PRIMARY"}
PULSES = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}


@dataclass(frozen=True)
class Provenance:
    """What made a derived series.

    Attributes:
        software: Name of the program.
        version: Of the program.
        model: Name of the trained model.
        weights_sha256: Of its file of weights, 64 hexadecimal digits.
        scale: How many times finer it made the grid.
        text: Anything else to be said in the description of the derivation; no patient data.
    """

    software: str
    version: str
    model: str
    weights_sha256: str
    scale: float
    text: str = ""


@dataclass(frozen=True)
class Encoding:
    """How real-world values become 16-bit integers: value = stored * slope + intercept."""

    slope: float
    intercept: float
    signed: bool

    def store(self, values: np.ndarray) -> np.ndarray:
        """The nearest integers, saturated; int16 or uint16."""
        dtype = np.dtype("<i2" if self.signed else "<u2")
        limits = np.iinfo(dtype)
        steps = np.rint((values.astype(np.float64) - self.intercept) / self.slope)
        return np.clip(steps, limits.min, limits.max).astype(dtype)


def write_series(
    scan: Scan,
    headers: Sequence[Dataset],
    folder: str | os.PathLike[str],
    *,
    provenance: Provenance,
    replace: bool = False,
) -> list[Path]:
    """Writes `scan` as a new derived series of classic MR, CT or PET images.

    A rounding error stays under 1/4000 of the series' range of values. MR and CT keep steps of 1
    where these are fine enough; PET has a slope a slice, as its scanners do, under 1/65000 of the
    slice's largest value. Units are the source's. A slice between two source slices takes the
    header of the nearer one.

    The dates and times of the series and of the acquisition stay those of the source: programs
    that compute uptake values correct for decay since then.

    Args:
        scan: Values (I, J, K) in the source's units (I along a row: the column index) and the
            affine to RAS+ millimetres.
        headers: Of the source's slices, in any order, or the one of an enhanced image.
        folder: A new or an empty folder; complete or absent, whatever happens.
        provenance: What made it.
        replace: Whether it may take the place of another derived series, written by this.

    Returns:
        The files, in the order of K.

    Raises:
        InputError: No place to write, or a scan that a classic series cannot hold.
    """
    folder = Path(folder)
    modality, sources, grid = _checked(scan, headers, folder, replace)
    common = _common(scan, grid, sources, modality, provenance)
    whole = _encoding(*_range(scan.array))
    with _series_folder(folder, replace=replace) as partial, warnings.catch_warnings():
        # pydicom warns of values in the source that break the standard's rules: not ours to judge.
        warnings.simplefilter("ignore")
        names = [f"{k + 1:05d}.dcm" for k in range(scan.array.shape[2])]
        for k, name in enumerate(names):
            plane = scan.array[:, :, k].T
            encoding = _pet_encoding(plane, scan.array) if modality == "PT" else whole
            image = _image(plane, k, grid, sources, encoding, modality)
            image.update(common)
            _save(image, partial / name)
    return [folder / name for name in names]


def check_series(
    scan: Scan,
    headers: Sequence[Dataset],
    folder: str | os.PathLike[str],
    *,
    replace: bool = False,
) -> None:
    """Refuses what `write_series` could not write, before time is spent on computing.

    Args:
        scan: The source.
        headers: Of its slices.
        folder: As in `write_series`, like the next one.
        replace: See there.

    Raises:
        InputError: As `write_series`, but for what a larger grid alone makes impossible.
    """
    _checked(scan, headers, Path(folder), replace)


def check_folder(
    folder: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] = (),
    *,
    replace: bool = False,
) -> None:
    """Refuses a folder that `write_series` could not write, before time is spent on computing.

    Args:
        folder: Where the series will be.
        inputs: The source's files and folders.
        replace: As in `write_series`.

    Raises:
        InputError: It holds something, is where the source is, or cannot be made.
    """
    check_apart(folder, inputs)
    with _series_folder(Path(folder), keep=False, replace=replace):
        pass


def check_apart(folder: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Refuses a folder that is where the source is.

    Args:
        folder: Where the series will be.
        inputs: The source's files and folders.

    Raises:
        InputError: It is one of them, or in one.
    """
    folder = Path(folder)
    target = folder.resolve()
    for source in map(Path, inputs):
        # A folder is read with all that is below it: the new series would mix with the old one.
        place = source.resolve() if source.is_dir() else source.resolve().parent
        if target == place or (source.is_dir() and place in target.parents):
            raise InputError(
                f"{folder}: the source series is there; choose a folder outside the input"
            )


def _sources(scan: Scan, headers: Sequence[Dataset]) -> set[Path]:
    """The files and folders that the source is known to come from."""
    names = [getattr(header, "filename", None) for header in headers]
    paths = {Path(name) for name in names if isinstance(name, (str, os.PathLike))}
    return paths if scan.path is None else paths | {scan.path}


def _checked(
    scan: Scan, headers: Sequence[Dataset], folder: Path, replace: bool
) -> tuple[str, list[tuple[Dataset, int]], _Grid]:
    """The modality, each source slice's header with its frame (0: a file of its own), the grid."""
    check_folder(folder, _sources(scan, headers), replace=replace)
    if scan.array.ndim != 3 or scan.affine is None:
        raise InputError(
            f"{folder}: a DICOM series is a volume with a geometry and {scan.name} is not one;"
            " write its volumes one by one, or NIfTI"
        )
    if max(scan.array.shape[:2]) > 2**16 - 1:
        raise InputError(f"{folder}: more than 65535 rows or columns; choose a smaller scale")
    # The extremes tell of NaN and Inf without a mask as large as the volume.
    if not np.isfinite([scan.array.min(), scan.array.max()]).all():
        raise InputError(f"{folder}: {scan.name} holds NaN or Inf, which DICOM cannot; repair it")
    modality = str(_value(headers[0], "Modality")) if len(headers) else ""
    enhanced_pet = len(headers) > 0 and _value(headers[0], "SOPClassUID") == ENHANCED_PET
    if modality not in SOP_CLASSES or enhanced_pet:
        raise InputError(
            f"{folder}: derived series are written for MR, CT and classic PET only; write .nii.gz"
        )
    sources = [source for header in headers for source in _slices(header)]
    if any(len(_value(header, "ImagePositionPatient") or ()) != 3 for header, _ in sources):
        raise InputError(f"{folder}: a source image has no position; write .nii.gz")
    return modality, sources, _Grid.of(scan, sources, folder)


def _slices(header: Dataset) -> list[tuple[Dataset, int]]:
    """A classic header as it is; an enhanced one as a classic header a frame."""
    frames = _value(header, "PerFrameFunctionalGroupsSequence")
    if not frames:
        return [(header, 0)]
    from pydicom import Dataset

    shared = Dataset()
    shared.update({tag: header[tag] for tag in header.keys() if _readable(header, tag)})
    for item in _value(header, "SharedFunctionalGroupsSequence") or ():
        _flatten(item, shared)
    slices = []
    for number, frame in enumerate(frames, 1):
        flat = Dataset()
        flat.update(shared)
        _flatten(frame, flat)
        _classic_names(flat)
        slices.append((flat, number))
    return slices


def _flatten(groups: Dataset, into: Dataset) -> None:
    """Lifts the attributes of functional groups to where a classic image has them."""
    for group in groups:
        if group.VR == "SQ" and not group.tag.is_private:
            for item in group.value or ():
                into.update(item)


def _classic_names(flat: Dataset) -> None:
    """Gives what enhanced MR calls differently its classic name."""
    if flat.get("Modality") == "MR":
        if "EchoTime" not in flat:
            flat.EchoTime = _value(flat, "EffectiveEchoTime")
        if "ScanningSequence" not in flat:
            # Research mode, for a sequence that the header does not name.
            flat.ScanningSequence = PULSES.get(str(_value(flat, "EchoPulseSequence")), ["RM"])
            flat.SequenceVariant = "NONE"


@dataclass(frozen=True)
class _Grid:
    """Where the slices are, in DICOM's LPS+ millimetres, and the source slices around them.

    Attributes:
        affine: (4, 4) from voxel indices to LPS+.
        normal: Unit vector from slice to slice.
        at: (K,) positions of the slices along it.
        sources: (S,) positions of the source's slices along it.
        source_step: From one source slice to the next; 0 for a single one.
    """

    affine: np.ndarray
    normal: np.ndarray
    at: np.ndarray
    sources: np.ndarray
    source_step: float

    @classmethod
    def of(cls, scan: Scan, sources: Sequence[tuple[Dataset, int]], folder: Path) -> _Grid:
        affine = lps_to_ras(np.asarray(scan.affine))
        rows, columns, slices = (affine[:3, axis] for axis in range(3))
        across = np.cross(rows, columns)
        lengths = [float(np.linalg.norm(v)) for v in (rows, columns, across, slices)]
        if not np.isfinite(affine).all() or not all(lengths) or not slices @ across:
            raise InputError(f"{folder}: {scan.name} has a singular affine; repair its geometry")
        if abs(rows @ columns) > RIGHT_ANGLE * lengths[0] * lengths[1]:
            raise InputError(
                f"{folder}: the rows and columns of {scan.name} are not at right angles, which"
                " DICOM needs; write .nii.gz"
            )
        normal = across / lengths[2] * math.copysign(1.0, slices @ across)
        at = normal @ affine[:3, 3] + np.arange(scan.array.shape[2]) * (normal @ slices)
        places = np.array([[float(x) for x in s.ImagePositionPatient] for s, _ in sources])
        places = places @ normal
        gaps = np.diff(np.sort(places))
        gaps = gaps[gaps > 0]
        return cls(affine, normal, at, places, float(np.median(gaps)) if gaps.size else 0.0)

    @property
    def step(self) -> float:
        """Millimetres from slice to slice, at right angles to them."""
        return float(self.normal @ self.affine[:3, 2])

    @property
    def same_slices(self) -> bool:
        """Whether the slices are as far apart as the source's."""
        if not self.source_step:
            return self.at.size == 1
        return abs(self.step / self.source_step - 1) < SAME_PLACE

    def nearest(self, k: int) -> int:
        """The source slice whose header slice `k` takes."""
        return int(np.argmin(np.abs(self.sources - self.at[k])))

    def around(self, k: int) -> list[int]:
        """The source slices that slice `k` lies on or between, the nearest first."""
        distances = np.abs(self.sources - self.at[k])
        near = np.flatnonzero(distances < (1 - SAME_PLACE) * self.source_step)
        on = distances.min() < SAME_PLACE * self.source_step
        return [self.nearest(k)] if on or not near.size else list(near[np.argsort(distances[near])])


def _range(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _encoding(low: float, high: float) -> Encoding:
    """Integers for values from `low` to `high`: steps of 1 if these will do, else a power of two.

    The usual powers of two have an exact decimal string.
    """
    span = high - low
    slope = 1.0
    if not span and not low.is_integer():
        return Encoding(slope, _decimal(low), signed=False)
    if span and not STEPS / 2 < span < MOST_STEPS:
        slope = _decimal(2.0 ** math.floor(math.log2(span / STEPS)))
    first, last = low / slope, high / slope
    if first >= 0 and last <= 2**16 - 1:
        return Encoding(slope, 0.0, signed=False)
    if first >= -(2**15) and last <= 2**15 - 1:
        return Encoding(slope, 0.0, signed=True)
    return Encoding(slope, _decimal(math.floor(first) * slope), signed=False)


def _pet_encoding(plane: np.ndarray, volume: np.ndarray) -> Encoding:
    """A PET image's own slope: the standard asks for 16 bits and an intercept of 0."""
    largest = float(np.abs(plane).max())
    if not largest:
        # Not 1: readers take the series' type from its first slice, and 1 would mean integers.
        largest = max(map(abs, _range(volume))) or 1.0
    return Encoding(_decimal(largest / PET_LARGEST), 0.0, signed=True)


def _decimal(value: float) -> float:
    """The number that a decimal string of 16 characters says."""
    from pydicom.valuerep import format_number_as_ds

    return float(format_number_as_ds(value))


def _common(
    scan: Scan,
    grid: _Grid,
    sources: Sequence[tuple[Dataset, int]],
    modality: str,
    provenance: Provenance,
) -> Dataset:
    """What all images of the new series share."""
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    first = sources[grid.nearest(0)][0]
    common = Dataset()
    common.SOPClassUID = SOP_CLASSES[modality]
    common.SeriesInstanceUID = generate_uid(prefix=None)
    # Careless anonymisers empty these two; images without them belong nowhere.
    common.StudyInstanceUID = _value(first, "StudyInstanceUID") or generate_uid(prefix=None)
    common.FrameOfReferenceUID = _value(first, "FrameOfReferenceUID") or generate_uid(prefix=None)
    number = _value(first, "SeriesNumber")
    common.SeriesNumber = FIRST_NUMBER + (number if isinstance(number, int) else 0)
    note = f"{provenance.software} {provenance.scale:g}x, {RESEARCH}"
    before = str(_value(first, "SeriesDescription") or "")[: LONGEST_LO - len(note) - 1].strip()
    common.SeriesDescription = f"{before} {note}".strip()[:LONGEST_LO]

    now = datetime.now()
    common.InstanceCreationDate = common.ContentDate = now.strftime("%Y%m%d")
    common.InstanceCreationTime = common.ContentTime = now.strftime("%H%M%S.%f")

    made = (
        f"Super-resolution {provenance.scale:g}x by {provenance.software} {provenance.version},"
        f" model {provenance.model}, weights SHA-256 {provenance.weights_sha256}."
    )
    description = f"{made} {RESEARCH.capitalize()}. {provenance.text}".strip()
    if _value(first, "PhotometricInterpretation") == "MONOCHROME1":
        description += f" {INVERTED}"
    common.DerivationDescription = _ascii(description, LONGEST_ST)
    common.DerivationCodeSequence = [_code("113085", "Spatial resampling")]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    equipment.Manufacturer = _ascii(provenance.software, LONGEST_LO)
    equipment.ManufacturerModelName = _ascii(provenance.model, LONGEST_LO)
    # The hash is as long as a value may be: last, a padding space would be one character too many.
    equipment.SoftwareVersions = [
        _ascii(text, LONGEST_LO) for text in (provenance.weights_sha256, provenance.version)
    ]
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S.%f")
    equipment.ContributionDescription = _ascii(made, LONGEST_ST)
    earlier = [_clean(item) for item in _value(first, "ContributingEquipmentSequence") or ()]
    common.ContributingEquipmentSequence = [*earlier, equipment]

    common.Rows, common.Columns = scan.array.shape[1], scan.array.shape[0]
    between_columns, between_rows, _ = (float(mm) for mm in scan.spacing)
    common.PixelSpacing = _ds(between_rows, between_columns)
    common.ImageOrientationPatient = _ds(
        *(grid.affine[:3, 0] / between_columns), *(grid.affine[:3, 1] / between_rows)
    )
    thickness = _value(first, "SliceThickness") if grid.same_slices else grid.step
    # Type 2: empty where the source does not know it either.
    common.SliceThickness = _ds(thickness) if isinstance(thickness, (int, float)) else None
    if scan.array.shape[2] > 1:
        common.SpacingBetweenSlices = _ds(grid.step)
    if modality != "CT" or not _value(first, "WindowCenter"):
        # One window for the series, so that slices do not flicker. (Sites set CT's, in HU.)
        sample = scan.array[tuple(slice(None, None, max(1, n // 64)) for n in scan.array.shape)]
        low, high = (float(v) for v in np.percentile(sample, (1, 99.8)))
        common.WindowCenter = _ds((low + high) / 2)
        common.WindowWidth = _ds(high - low if high > low else 1.0)
        if high - low < 1:
            common.VOILUTFunction = "LINEAR_EXACT"  # the plain linear one has no such widths
    return common


def _image(
    plane: np.ndarray,
    k: int,
    grid: _Grid,
    sources: Sequence[tuple[Dataset, int]],
    encoding: Encoding,
    modality: str,
) -> Dataset:
    """Slice `k`, but for what all slices share; `plane` is (rows, columns)."""
    from pydicom import DataElement
    from pydicom.uid import generate_uid

    source = sources[grid.nearest(k)][0]
    image = _clean(source)
    for keyword in (*KEPT_OF_PIXELS, *(WINDOW if modality == "CT" else ())):
        element = _readable(source, keyword)
        if element is not None:
            image.add(element)
    for keyword in (*REQUIRED, *REQUIRED_OF[modality]):
        if keyword not in image:
            setattr(image, keyword, None)
    image.SOPInstanceUID = generate_uid(prefix=None)
    image.InstanceNumber = k + 1
    image.ImageType = ["DERIVED", KIND[modality], *_flavours(source, modality)]
    references = [_reference(*sources[index]) for index in grid.around(k)]
    if any(references):
        image.SourceImageSequence = [reference for reference in references if reference]

    position = grid.affine[:3, 3] + k * grid.affine[:3, 2]
    image.ImagePositionPatient = _ds(*position)
    image.SliceLocation = _ds(grid.at[k])

    stored = encoding.store(plane)
    image.SamplesPerPixel = 1
    # Of a source in MONOCHROME1 too, whose values `read_series` does not invert: ITK would invert
    # ours, without a word, and a picture shown light for dark is seen.
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = int(encoding.signed)
    vr = "SS" if encoding.signed else "US"
    image.add(DataElement("SmallestImagePixelValue", vr, int(stored.min())))
    image.add(DataElement("LargestImagePixelValue", vr, int(stored.max())))
    # Classic MR has no rescale of its own: written only where plain integers will not do.
    if modality != "MR" or (encoding.slope, encoding.intercept) != (1, 0):
        image.RescaleSlope = _ds(encoding.slope)
        image.RescaleIntercept = _ds(encoding.intercept)
        kind = _value(source, "RescaleType") or {"CT": "HU", "MR": "US"}.get(modality)
        if kind:
            image.RescaleType = str(kind)
    if modality == "PT":
        image.NumberOfSlices = grid.at.size
        image.ImageIndex = k + 1
        for count in ("NumberOfTimeSlices", "NumberOfTimeSlots", "NumberOfRRIntervals"):
            if count in image:
                setattr(image, count, 1)  # of the series, of which this is one volume
    image.add_new("PixelData", "OW", stored.tobytes())
    return image


def _flavours(source: Dataset, modality: str) -> list[str]:
    """Image type from value 3 on."""
    values = _value(source, "ImageType")
    kept = [] if isinstance(values, str) else [str(v) for v in (values or ())[2:] if v != "MOSAIC"]
    return kept or {"CT": ["AXIAL"], "MR": ["OTHER"], "PT": []}[modality]


def _reference(source: Dataset, frame: int) -> Dataset | None:
    """The reference to a source image; None if the source has lost its name."""
    from pydicom import Dataset

    meta = getattr(source, "file_meta", None) or Dataset()
    kind = _value(source, "SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    name = _value(source, "SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID")
    if not kind or not name:
        return None
    reference = Dataset()
    reference.ReferencedSOPClassUID = kind
    reference.ReferencedSOPInstanceUID = name
    if frame:
        reference.ReferencedFrameNumber = frame
    purpose = _code("121322", "Source image for image processing operation")
    reference.PurposeOfReferenceCodeSequence = [purpose]
    return reference


def _clean(source: Dataset) -> Dataset:
    """A copy without private and malformed attributes, and without what `DROPPED` names."""
    from pydicom import Dataset

    cleaned = Dataset()
    for tag in list(source.keys()):
        overlay = tag.group & 0xFF00 in (0x5000, 0x6000)
        if tag.is_private or tag.element == 0 or tag.group in DROPPED_GROUPS or overlay:
            continue
        element = _readable(source, tag)
        if element is None or element.keyword in DROPPED:
            continue
        if element.VR == "SQ":
            cleaned.add_new(tag, "SQ", [_clean(item) for item in element.value or ()])
        else:
            cleaned.add(copy.copy(element))  # setting its value must not change the source's
    return cleaned


def _readable(source: Dataset, tag: Any) -> DataElement | None:
    """An attribute whose value is what its type says; None for one that no reader could use."""
    try:
        return source[tag]
    except Exception:  # whatever a malformed value makes pydicom raise
        return None


def _value(source: Dataset, keyword: str) -> Any:
    """An attribute's value; None where it is absent, empty or malformed."""
    element = _readable(source, keyword)
    return None if element is None or element.is_empty else element.value


def _code(value: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _ds(*values: float) -> Any:
    """Decimal strings of at most 16 characters."""
    from pydicom.valuerep import DSfloat

    strings = [DSfloat(float(value), auto_format=True) for value in values]
    return strings if len(strings) > 1 else strings[0]


def _ascii(text: str, longest: int) -> str:
    """Text that any character set holds, without the backslash that separates values."""
    plain = text.encode("ascii", "replace").decode().replace("\\", "/")
    return "".join(c if c.isprintable() else " " for c in plain)[:longest].strip()


def _save(image: Dataset, path: Path) -> None:
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = UID(image.SOPClassUID)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, image, enforce_file_format=True)


@contextlib.contextmanager
def _series_folder(folder: Path, *, keep: bool = True, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the name `folder` once it is complete."""
    with write_errors(folder):
        if replace and folder.is_dir() and not _only_derived(folder):
            raise InputError(
                f"{folder}: holds other things than a series that iconet derived; name a new or an"
                " empty folder"
            )
        with complete_folder(folder, keep=keep, replace=replace) as partial:
            yield partial


def _only_derived(folder: Path) -> bool:
    """Whether a folder holds nothing but images that `write_series` wrote."""
    from pydicom import dcmread

    for path in folder.iterdir():
        if not re.fullmatch(r"\d{5,}\.dcm", path.name) or not path.is_file():
            return False
        try:
            header = dcmread(path, specific_tags=["SeriesDescription"], stop_before_pixels=True)
        except Exception:  # whatever damaged bytes make pydicom raise
            return False
        if RESEARCH not in str(header.get("SeriesDescription")):
            return False
    return True
