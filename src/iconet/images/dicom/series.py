"""Reads one DICOM series as a volume, or says in one line why it cannot be used."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom.derived_header import is_derived
from iconet.images.dicom.pixels import padding_of, stored_frames
from iconet.images.dicom.planes import Plane, ordered, planes_of
from iconet.images.dicom.sources import DicomFile, dicom_errors, dicom_files
from iconet.images.geometry import check_affine
from iconet.images.memory import require_memory
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from pydicom import Dataset

MODALITIES = ("MR", "CT", "PT")
PIXELS = 0x7FE0  # the group of the pixel data and its offset tables
MOST_LISTED = 20  # series in an error line
LONGEST_SHOWN = 64  # characters of a description
# All that choosing a series and laying out its grid need: a header in full takes 100 kB of memory.
ELEMENTS = [
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SpecificCharacterSet"),
    *("Modality", "ImageType", "ModalityLUTSequence"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("PatientName", "PatientID"),  # what of them is in a description is not shown
    *("ContributingEquipmentSequence", "DerivationDescription"),  # whether iconet made it
]


@dataclass(frozen=True)
class _Entry:
    """A file with the part of its header that is needed, and why it is no slice (None if it is)."""

    file: DicomFile
    header: "Dataset"
    refused: str | None


@dataclass(frozen=True)
class FoundSeries:
    """A series at a place, by its headers.

    Attributes:
        uid: To choose it by; empty where its images have none.
        title: For people, such as `4 "t1 mprage" (MR, 256 x 240, 192 files)`; no patient data.
        number: Series number; empty where it has none.
        description: Without the patient's name.
        modality: As DICOM has it.
        refused: Why it is no scan; None where it is one.
        own: Whether iconet made it.
        files: Names of its files.
    """

    uid: str
    title: str
    number: str
    description: str
    modality: str
    refused: str | None
    own: bool
    files: tuple[str, ...]


def list_series(path: Path) -> list[FoundSeries]:
    """All series at a place, in the order of their numbers; only headers are read.

    Args:
        path: As in `read_series`.

    Raises:
        InputError: No DICOM there, or damaged headers.
    """
    with dicom_files(path) as files:
        found = _by_series(files)
    listed = []
    for uid, entries in found.items():
        header = entries[0].header
        refused = None if any(e.refused is None for e in entries) else entries[0].refused
        listed.append(
            FoundSeries(
                uid,
                _title(_series_number(header) or _plain(uid), entries),
                _series_number(header),
                _shown(header),
                str(header.get("Modality") or ""),
                refused,
                is_derived(header),
                tuple(entry.file.name for entry in entries),
            )
        )
    return sorted(listed, key=lambda one: (len(one.number), one.number, one.uid))


def read_series(
    path: str | os.PathLike[str], *, series: str | int | None = None, scale: int = 1
) -> Scan:
    """Reads one series: MR, CT or PT; classic or enhanced multi-frame; plain or compressed.

    Slices are ordered by their positions and each is rescaled by its own slope and intercept.
    MONOCHROME1 says only that a viewer shows low values bright (PS3.3 C.7.6.3.1.2): the values are
    not inverted, so Hounsfield units stay Hounsfield units. (ITK inverts the stored numbers.)
    The scan's axes are (column, row, slice), its values the rescaled ones (Hounsfield units in CT,
    Bq/ml in PET), its header a NIfTI header for the same grid.

    Args:
        path: A folder (with subfolders), a file, a zip, or a DICOMDIR.
        series: SeriesInstanceUID, series number, or a part of the series description; needed where
            there are several.
        scale: The enlargement that is to follow; memory for its result is demanded too.

    Raises:
        InputError: Several series and none or no existing one chosen (the line lists them); files
            that are no scan (non-image, colour, localizer, other modality); a grid that is tilted,
            uneven or incomplete; truncated or contradictory pixel data; no memory for it.
    """
    path = Path(path)
    with dicom_files(path) as files:
        entries, notes = _chosen(path, _by_series(files), series)
        planes: list[Plane] = []
        for index, entry in enumerate(entries):
            if entry.refused is not None:
                raise InputError(f"{entry.file.name}: {entry.refused}")
            with dicom_errors(entry.file.name):
                planes += planes_of(entry.header, index, entry.file.name)
        if len(entries) > 1 and len(planes) > len(entries):
            raise InputError(
                f"{path}: {len(entries)} multi-frame files in one series; name one of the files"
            )
        planes, affine = ordered(planes, str(path))
        check_affine(affine, str(path))
        shape = (planes[0].columns, planes[0].rows, len(planes))
        require_memory(str(path), shape, scale)
        values, headers, dtype = _read_slices([entry.file for entry in entries], planes, shape)
    slope, intercept = planes[0].slope, planes[0].intercept
    if any((plane.slope, plane.intercept) != (slope, intercept) for plane in planes):
        # Slices that are scaled differently have no integers in common.
        slope, intercept, dtype = 1.0, 0.0, np.dtype(np.float32)
    by_slice = [0] if len(entries) == 1 else [plane.file for plane in planes]
    return Scan(
        values,
        affine=affine,
        header=_nifti_header(affine, values.shape, dtype),
        path=path,
        dtype=dtype,
        slope=slope,
        inter=intercept,
        padding=_padding(planes, headers),
        dicom=tuple(headers[index] for index in by_slice),
        notes=notes,
    )


def _by_series(files: Sequence[DicomFile]) -> dict[str, list[_Entry]]:
    found: dict[str, list[_Entry]] = {}
    for file in files:
        with dicom_errors(file.name):
            header = file.read(pixels=False, only=ELEMENTS)
            entry = _Entry(file, header, _why_no_slice(header))
            found.setdefault(str(header.get("SeriesInstanceUID") or ""), []).append(entry)
    return found


def _why_no_slice(header: "Dataset") -> str | None:
    """What makes this object something else than a slice of a scan, with the remedy."""
    if header.get("Rows") is None or header.get("Columns") is None:
        return "not an image (a report, contour, plan or the like); name the images"
    if header.get("Modality") not in MODALITIES:
        return f"not of modality {', '.join(MODALITIES)}; name a series of one of these"
    grey = str(header.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
    if header.get("SamplesPerPixel", 1) != 1 or not grey:
        return "a colour image; name the original greyscale series"
    image_type = header.get("ImageType") or []
    if "LOCALIZER" in ([image_type] if isinstance(image_type, str) else image_type):
        return "a localizer, which is no volume; name the series planned on it"
    if header.get("ModalityLUTSequence"):
        return "its values go through a lookup table; export it with a rescale slope"
    return None


def _chosen(
    path: Path, found: dict[str, list[_Entry]], series: str | int | None
) -> tuple[list[_Entry], tuple[str, ...]]:
    """The one series that was asked for, or that is a scan at all; and what was left out.

    What iconet made of the others is left out where it lies beside them.
    """
    notes: tuple[str, ...] = ()
    if series is not None:
        wanted = str(series)
        matching = [
            uid
            for uid, entries in found.items()
            if wanted and wanted in (uid, _series_number(entries[0].header))
        ] or [
            uid
            for uid, entries in found.items()
            if wanted.strip() and wanted.casefold() in _description(entries[0].header).casefold()
        ]
        problem = (
            "more than one series of that number or description"
            if matching
            else "no series of that number, UID or description"
        )
    else:
        matching = [
            uid for uid, entries in found.items() if any(entry.refused is None for entry in entries)
        ]
        if not matching:
            entry = next(iter(found.values()))[0]
            raise InputError(f"{entry.file.name}: {entry.refused}")
        scans = [uid for uid in matching if not is_derived(found[uid][0].header)]
        if scans and len(scans) < len(matching):
            notes = (f"{len(matching) - len(scans)} series that iconet made left out",)
            matching = scans
        problem = f"{len(matching)} series"
    if len(matching) != 1:
        listing = _listing(matching or list(found), found)
        raise InputError(f"{path}: {problem}; choose by --series {listing}")
    return found[matching[0]], notes


def _listing(uids: Sequence[str], found: dict[str, list[_Entry]]) -> str:
    numbers = [_series_number(entries[0].header) for entries in found.values()]
    lines = []
    for uid in uids:
        header = found[uid][0].header
        number = _series_number(header)
        called = number if number and numbers.count(number) == 1 else _plain(uid)
        lines.append((len(called), called, _title(called, found[uid])))
    listed = [line for _, _, line in sorted(lines)]
    rest = len(listed) - MOST_LISTED
    return ", ".join(listed[:MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _title(called: str, entries: Sequence[_Entry]) -> str:
    """What a series is, for people."""
    header = entries[0].header
    shown = _shown(header)
    modality = header.get("Modality")
    facts = [str(modality) if modality in MODALITIES else "other"]
    if header.get("Rows") and header.get("Columns"):
        facts.append(f"{header.Columns} x {header.Rows}")
    frames = header.get("NumberOfFrames")
    several = len(entries) == 1 and str(frames).isdigit() and int(frames) > 1
    count = int(frames) if several else len(entries)
    facts.append(f"{count} {'frame' if several else 'file'}{'s' * (count != 1)}")
    return called + (f' "{shown}"' if shown else "") + f" ({', '.join(facts)})"


def _shown(header: "Dataset") -> str:
    """The description of a series without what it says of the patient's name and number."""
    try:
        text, known = _description(header), f"{header.get('PatientName')}^{header.get('PatientID')}"
    except Exception:  # as there
        return ""
    for part in sorted(re.split(r"[\^=,\s]+", known), key=len, reverse=True):
        if len(part) > 1:
            whole = r"\b" if len(part) < 4 else ""
            text = re.sub(whole + re.escape(part) + whole, "***", text, flags=re.IGNORECASE)
    text = re.sub(r"\*{3}(?:[\^=,\s]*\*{3})+", "***", text)
    plain = "".join(c if c.isprintable() and c != '"' else " " for c in text)
    return " ".join(plain.split())[:LONGEST_SHOWN]


def _series_number(header: "Dataset") -> str:
    number = header.get("SeriesNumber")
    return "" if number is None else str(int(number))


def _description(header: "Dataset") -> str:
    """To be compared with; `_shown` is what people see: they write names into it."""
    try:
        return str(header.get("SeriesDescription") or "")
    except Exception:  # a malformed one makes pydicom raise nearly anything
        return ""


def _plain(text: str) -> str:
    """A UID for an error line; anything else could be a name or break the line."""
    return text if re.fullmatch(r"-?[0-9.]{1,64}", text) else "without a valid UID"


def _read_slices(
    files: Sequence[DicomFile], planes: Sequence[Plane], shape: tuple[int, int, int]
) -> "tuple[np.ndarray, dict[int, Dataset], np.dtype]":
    """Values (column, row, slice) as float32, headers by file index, and the stored type."""
    # Slice after slice in memory, as they come.
    values = np.empty(shape, dtype=np.float32, order="F")
    place = {(plane.file, plane.frame): index for index, plane in enumerate(planes)}
    headers, types = {}, set()
    for index, file in enumerate(files):
        with dicom_errors(file.name):
            image = file.read(pixels=True)
            for frame, stored in enumerate(stored_frames(image, file.name)):
                k = place[index, frame]
                with np.errstate(over="ignore"):
                    real = stored.T * planes[k].slope + planes[k].intercept
                    values[:, :, k] = real
                if not np.isfinite(values[:, :, k]).all():
                    raise InputError(
                        f"{file.name}: values beyond float32; correct its rescale slope"
                    )
                types.add(stored.dtype.newbyteorder("="))
            for tag in [tag for tag in image.keys() if tag.group == PIXELS]:
                del image[tag]
            headers[index] = image
    return values, headers, np.result_type(*types)


def _padding(planes: Sequence[Plane], headers: "dict[int, Dataset]") -> tuple[float, float] | None:
    """The range of values that all slices call padding, rescaled as they are."""
    ranges = set()
    for plane in planes:
        stored = padding_of(headers[plane.file])
        if stored is None:
            return None
        low, high = sorted(float(np.float32(n * plane.slope + plane.intercept)) for n in stored)
        ranges.add((low, high))
    return ranges.pop() if len(ranges) == 1 else None


def _nifti_header(affine: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> "Nifti1Header":
    import nibabel

    # The zeros stand for the voxels and take no memory.
    image = nibabel.Nifti1Image(np.broadcast_to(np.uint8(0), shape), affine)
    image.set_data_dtype(dtype)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image.header
