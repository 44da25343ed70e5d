"""The headers of a derived series.

They say what it is in the places where archives and viewers look (PS3.3 C.7.6.1.1.2, C.7.6.1.1.4,
C.12.1.1.5): its type, how and from which images it was made, by which program.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from iconet.images.dicom.derived_grid import DerivedGrid
from iconet.images.dicom.encoding import Encoding
from iconet.images.dicom.real_world import describe_values
from iconet.images.dicom.source_header import (
    KEPT_OF_PIXELS,
    cleaned,
    readable,
    value_of,
    window_of,
)
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from pydicom import Dataset

SOP_CLASSES = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
PROGRAM = "iconet"
RESEARCH = "research use, not for diagnosis"
# `add_pixels` says why.
INVERTED = "The source is MONOCHROME1, shown dark for light; here the same values are MONOCHROME2."
NAMESPACE = uuid.UUID(
    "8d0fd0a5-6d35-4e57-8a0e-6b6c0c9a0f5e"
)  # of the UIDs made here; any one will do
LONGEST_LO = 64
LONGEST_ST = 1024
# New series numbers; scanners' own stay well below.
FIRST_NUMBER = 9000
# Required, though empty where unknown; anonymisers delete them.
REQUIRED = (
    *("StudyDate", "StudyTime", "AccessionNumber", "Manufacturer", "ReferringPhysicianName"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID"),
    "PositionReferenceIndicator",
)
MR = ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength")
REQUIRED_OF = {
    "MR": (*MR, "PatientPosition"),
    "CT": ("KVP", "AcquisitionNumber", "PatientPosition"),
    "PT": (),
}
# What an image made from another one is; PET's own module (C.8.9.4.1.1) knows no SECONDARY.
KIND = {"MR": "SECONDARY", "CT": "SECONDARY", "PT": "PRIMARY"}


@dataclass(frozen=True)
class Provenance:
    """What made a derived series.

    Attributes:
        software: Name of the program.
        version: Of the program.
        model: Name of the trained model; None if the series was interpolated without one.
        weights_sha256: Of its file of weights, 64 hexadecimal digits; None likewise.
        scale: How many times finer it made the grid.
        text: Anything else to be said in the description of the derivation; no patient data.
        settings: Whatever else decides on the values, in any words: the UIDs follow from it.
        bound: Which bound of a result it is, such as "lower"; empty for the result itself.
    """

    software: str
    version: str
    model: str | None
    weights_sha256: str | None
    scale: float
    text: str = ""
    settings: str = ""
    bound: str = ""


def is_derived(header: "Dataset") -> bool:
    """Whether iconet made an image, by what `_explain` and `_name_series` have written."""
    equipment = value_of(header, "ContributingEquipmentSequence") or ()
    if any(str(value_of(item, "Manufacturer")) == PROGRAM for item in equipment):
        return True
    made = re.search(rf"\bby {PROGRAM} \d", str(value_of(header, "DerivationDescription")))
    described = str(value_of(header, "SeriesDescription"))
    return made is not None or (f"{PROGRAM} " in described and RESEARCH in described)


def series_header(
    scan: Scan,
    grid: DerivedGrid,
    sources: "Sequence[tuple[Dataset, int]]",
    modality: str,
    provenance: Provenance,
) -> "Dataset":
    """What all images of the new series share."""
    from pydicom import Dataset

    source, now = sources[grid.nearest(0)][0], datetime.now()
    header = Dataset()
    header.SOPClassUID = SOP_CLASSES[modality]
    header.InstanceCreationDate = header.ContentDate = now.strftime("%Y%m%d")
    header.InstanceCreationTime = header.ContentTime = now.strftime("%H%M%S.%f")
    _name_series(header, scan, grid, sources, provenance)
    _explain(header, source, provenance, now)
    _place(header, scan, grid, source)
    return header


def _name_series(
    header: "Dataset",
    scan: Scan,
    grid: DerivedGrid,
    sources: "Sequence[tuple[Dataset, int]]",
    provenance: Provenance,
) -> None:
    source = sources[grid.nearest(0)][0]
    origin = _origin(sources)
    if not origin:  # an anonymiser has emptied all that would tell one source from another
        origin = hashlib.sha256(scan.array.tobytes()).hexdigest()
    place = [*scan.array.shape, *(f"{number:.6f}" for number in grid.affine[:3].flat)]
    header.SeriesInstanceUID = _uid("series", origin, place, _deciding(provenance))
    # Careless anonymisers empty these two; images without them belong nowhere.
    header.StudyInstanceUID = value_of(source, "StudyInstanceUID") or _uid("study", origin)
    header.FrameOfReferenceUID = value_of(source, "FrameOfReferenceUID") or _uid("frame", origin)
    number = value_of(source, "SeriesNumber")
    header.SeriesNumber = FIRST_NUMBER + (number if isinstance(number, int) else 0)
    how = "" if provenance.model else " interpolation"
    if provenance.bound:
        how = f" {provenance.bound} bound"
    note = f"{provenance.software} {provenance.scale:g}x{how}, {RESEARCH}"
    before = str(value_of(source, "SeriesDescription") or "")
    before = before[: LONGEST_LO - len(note) - 1].strip()
    header.SeriesDescription = f"{before} {note}".strip()[:LONGEST_LO]


def _deciding(provenance: Provenance) -> tuple[Any, ...]:
    """What the UIDs follow from; those of a result are what they were before it had bounds."""
    found = astuple(provenance)
    return found if provenance.bound else found[:-1]


def _origin(sources: "Sequence[tuple[Dataset, int]]") -> str:
    """What tells the source images from all others; empty where they have lost their names."""
    names = [_reference(header, frame) for header, frame in sources]
    images = [
        (str(name.ReferencedSOPInstanceUID), frame)
        for name, (_, frame) in zip(names, sources, strict=True)
        if name is not None
    ]
    return json.dumps(sorted(images)) if images else ""


def _uid(*parts: Any) -> str:
    """A UID that follows from what it names: a repeat is the same object to any archive.

    Derived from a UUID of version 5, as PS3.5 B.2 allows.
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, json.dumps(parts, default=str)).int}"


def _explain(header: "Dataset", source: "Dataset", provenance: Provenance, now: datetime) -> None:
    """How it was made, and by which program."""
    from pydicom import Dataset

    program = f"{provenance.scale:g}x by {provenance.software} {provenance.version}"
    made = f"Interpolation {program}, without a network."
    if provenance.model:
        made = (
            f"Super-resolution {program}, model {provenance.model},"
            f" weights SHA-256 {provenance.weights_sha256}."
        )
    description = f"{made} {RESEARCH.capitalize()}. {provenance.text}".strip()
    if value_of(source, "PhotometricInterpretation") == "MONOCHROME1":
        description += f" {INVERTED}"
    header.DerivationDescription = _ascii(description, LONGEST_ST)
    header.DerivationCodeSequence = [_code("113085", "Spatial resampling")]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    equipment.Manufacturer = _ascii(provenance.software, LONGEST_LO)
    equipment.ManufacturerModelName = _ascii(provenance.model or "interpolation", LONGEST_LO)
    # The hash is as long as a value may be: last, a padding space would be one character too many.
    equipment.SoftwareVersions = [
        _ascii(text, LONGEST_LO)
        for text in (provenance.weights_sha256, provenance.version)
        if text is not None
    ]
    equipment.ContributionDateTime = now.strftime("%Y%m%d%H%M%S.%f")
    equipment.ContributionDescription = _ascii(made, LONGEST_ST)
    earlier = [cleaned(item) for item in value_of(source, "ContributingEquipmentSequence") or ()]
    header.ContributingEquipmentSequence = [*earlier, equipment]


def _place(header: "Dataset", scan: Scan, grid: DerivedGrid, source: "Dataset") -> None:
    header.Rows, header.Columns = scan.array.shape[1], scan.array.shape[0]
    between_columns, between_rows, _ = (float(mm) for mm in scan.spacing)
    header.PixelSpacing = _ds(between_rows, between_columns)
    header.ImageOrientationPatient = _ds(
        *(grid.affine[:3, 0] / between_columns), *(grid.affine[:3, 1] / between_rows)
    )
    thickness = value_of(source, "SliceThickness") if grid.same_slices else grid.step
    # Type 2: empty where the source does not know it either.
    header.SliceThickness = _ds(thickness) if isinstance(thickness, (int, float)) else None
    if scan.array.shape[2] > 1:
        header.SpacingBetweenSlices = _ds(grid.step)


def window_for(values: np.ndarray) -> "Dataset":
    """One window for a series whose source names none, so that its slices do not flicker."""
    from pydicom import Dataset

    header = Dataset()
    sample = values[tuple(slice(None, None, max(1, n // 64)) for n in values.shape)]
    low, high = (float(v) for v in np.percentile(sample, (1, 99.8)))
    header.WindowCenter = _ds((low + high) / 2)
    header.WindowWidth = _ds(high - low if high > low else 1.0)
    if high - low < 1:
        header.VOILUTFunction = "LINEAR_EXACT"  # the plain linear one has no such widths
    return header


def image_header(
    k: int,
    grid: DerivedGrid,
    sources: "Sequence[tuple[Dataset, int]]",
    encoding: Encoding,
    common: "Dataset",
    window: "Dataset",
) -> "Dataset":
    """The header of slice `k`, but for what `add_pixels` adds.

    Args:
        k: Of the new series.
        grid: Of it.
        sources: Header and frame of the source's slices.
        encoding: Of the slice's values.
        common: What all slices share.
        window: To be shown with where the source names none. Its own stays beside it: values have
            the same units.
    """
    source = sources[grid.nearest(k)][0]
    image = cleaned(source)
    modality = str(value_of(source, "Modality"))
    for keyword in KEPT_OF_PIXELS:
        element = readable(source, keyword)
        if element is not None:
            image.add(element)
    own = window_of(source)
    image.update(window if own is None else own)
    for keyword in (*REQUIRED, *REQUIRED_OF[modality]):
        if keyword not in image:
            setattr(image, keyword, None)
    image.SOPInstanceUID = _uid(str(common.SeriesInstanceUID), k)
    image.InstanceNumber = k + 1
    image.ImageType = ["DERIVED", KIND[modality], *_flavours(source, modality)]
    references = [_reference(*sources[index]) for index in grid.around(k)]
    if any(references):
        image.SourceImageSequence = [reference for reference in references if reference]
    image.ImagePositionPatient = _ds(*(grid.affine[:3, 3] + k * grid.affine[:3, 2]))
    image.SliceLocation = _ds(grid.at[k])
    if modality == "PT":
        image.NumberOfSlices = grid.at.size
        image.ImageIndex = k + 1
        for count in ("NumberOfTimeSlices", "NumberOfTimeSlots", "NumberOfRRIntervals"):
            if count in image:
                setattr(image, count, 1)  # of the series, of which this is one volume
    # Classic MR has no rescale of its own: written only where plain integers will not do.
    described = describe_values(image, source, encoding)
    if described or modality != "MR" or (encoding.slope, encoding.intercept) != (1, 0):
        if not described:
            image.RescaleSlope = _ds(encoding.slope)
            image.RescaleIntercept = _ds(encoding.intercept)
        kind = value_of(source, "RescaleType") or {"CT": "HU", "MR": "US"}.get(modality)
        if kind:
            image.RescaleType = str(kind)
    image.update(common)
    return image


def _flavours(source: "Dataset", modality: str) -> list[str]:
    """Image type from value 3 on."""
    values = value_of(source, "ImageType")
    kept = [] if isinstance(values, str) else [str(v) for v in (values or ())[2:] if v != "MOSAIC"]
    return kept or {"CT": ["AXIAL"], "MR": ["OTHER"], "PT": []}[modality]


def _reference(source: "Dataset", frame: int) -> "Dataset | None":
    """The reference to a source image; None if the source has lost its name."""
    from pydicom import Dataset

    meta = getattr(source, "file_meta", None) or Dataset()
    kind = value_of(source, "SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    name = value_of(source, "SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID")
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


def _code(value: str, meaning: str) -> "Dataset":
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
