"""Reads one DICOM series as a volume, or says in one line why it cannot be used."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom import mosaic
from iconet.images.dicom.derived_header import is_derived
from iconet.images.dicom.mosaic import Mosaic
from iconet.images.dicom.pixels import padding_of, stored_frames
from iconet.images.dicom.planes import Plane, check_alike, missing_between, ordered, planes_of
from iconet.images.dicom.sources import (
    DicomFile,
    Found,
    Unread,
    dicom_errors,
    dicom_files,
    listed,
    unread_line,
)
from iconet.images.dicom.straighten import lean_of, upright, upright_shape
from iconet.images.dicom.traits import ELEMENTS as TRAITS
from iconet.images.dicom.volumes import Volume, volumes_of
from iconet.images.dicom.volumes import listed as listed_volumes
from iconet.images.memory import require_memory
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from pydicom import Dataset

MODALITIES = ("MR", "CT", "PT")
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
PIXELS = 0x7FE0  # the group of the pixel data and its offset tables
MOST_LISTED = 20  # series in an error line
LONGEST_SHOWN = 64  # characters of a description
# All that choosing a series and laying out its grid need: a header in full takes 100 kB of memory.
ELEMENTS: list[str | int] = [
    *mosaic.ELEMENTS,
    *("SOPClassUID", "BitsAllocated", *TRAITS),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SpecificCharacterSet"),
    *("Modality", "ImageType", "ModalityLUTSequence"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    "RealWorldValueMappingSequence",
    *("PatientName", "PatientID"),  # what of them is in a description is not shown
    *("ContributingEquipmentSequence", "DerivationDescription"),  # whether iconet made it
]


@dataclass(frozen=True)
class _Entry:
    """A file with the part of its header that is needed, and why it is no slice (None if it is)."""

    file: DicomFile
    header: "Dataset"
    refused: str | None

    def planes(self, index: int) -> tuple[list[Plane], Mosaic | None]:
        """Its slices, as of file number `index`, and how they are cut out of it."""
        if not mosaic.is_mosaic(self.header):
            return planes_of(self.header, index, self.file.name), None
        cut, slices = mosaic.mosaic_slices(self.file.read(pixels=False), self.file.name)
        found = [
            replace(plane, frame=number)
            for number, header in enumerate(slices)
            for plane in planes_of(header, index, self.file.name)
        ]
        return found, cut


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
    with dicom_files(path) as found:
        by_series, unread = _by_series(found)
    if not by_series:
        raise InputError(unread_line(path, unread, len(unread)))
    listed = []
    for uid, entries in by_series.items():
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
    path: str | os.PathLike[str],
    *,
    series: str | int | None = None,
    volume: int | None = None,
    allow_missing: bool = False,
    scale: int = 1,
) -> Scan:
    """Reads one series: MR, CT or PT; classic or enhanced multi-frame; plain or compressed.

    Slices are ordered by their positions and each is rescaled by its own slope and intercept.
    MONOCHROME1 says only that a viewer shows low values bright (PS3.3 C.7.6.3.1.2): the values are
    not inverted, so Hounsfield units stay Hounsfield units. (ITK inverts the stored numbers.)
    The scan's axes are (column, row, slice), its values the rescaled ones (Hounsfield units in CT,
    Bq/ml in PET), its header a NIfTI header for the same grid. Several volumes in one series
    (echoes, b-values, phases, times) are a fourth axis. Slices of a tilted gantry are put upright.

    Args:
        path: A folder (with subfolders), a file, a zip, or a DICOMDIR.
        series: SeriesInstanceUID, series number, or a part of the series description; needed where
            there are several.
        volume: Which of several volumes in it, from 1; None takes all.
        allow_missing: Whether files that cannot be read, in the folders of the series, are left
            out; a remark names them. The slices that are left must lie as close as all did.
        scale: The enlargement that is to follow; memory for its result is demanded too.

    Raises:
        InputError: Several series and none or no existing one chosen (the line lists them); files
            that are no scan (non-image, colour, localizer, other modality); files that cannot be
            read; an uneven or incomplete grid; volumes that nothing tells apart, or complex parts
            and none chosen; contradictory pixel data; no memory for it.
    """
    path = Path(path)
    with dicom_files(path) as found:
        entries, unread, notes = _members(path, found, series)
        members = _Members(path, len(entries) + len(unread), unread, allow_missing)
        stack = _read_stack(path, entries, members, volume, scale)
    return _scan_of(path, stack, notes)


def _scan_of(path: Path, stack: "_Stack", notes: tuple[str, ...]) -> Scan:
    """What was read, upright and on one scale; with what is to be said of it."""
    planes, headers, dtype = stack.planes, stack.headers, stack.dtype
    values, affine, remarks = stack.values, stack.affine, (*notes, *stack.remarks)
    padding = _padding(planes, headers)
    if (lean := lean_of(affine)) > 0:
        values, affine = upright(values, affine, padding=padding)
        remarks = (
            *remarks,
            f"{path}: tilted by {lean:.1f} degrees (gantry): its slices were put upright, on"
            f" {values.shape[0]} x {values.shape[1]} pixels",
        )
    slope, intercept = planes[0].slope, planes[0].intercept
    if any((plane.slope, plane.intercept) != (slope, intercept) for plane in planes):
        # Slices that are scaled differently have no integers in common.
        slope, intercept, dtype = 1.0, 0.0, np.dtype(np.float32)
    one_image = not stack.mosaics and len({plane.file for plane in planes}) == 1
    by_slice = planes[:1] if one_image else planes
    return Scan(
        values,
        affine=affine,
        header=_nifti_header(affine, values.shape, dtype, _unit(planes, str(path))),
        path=path,
        dtype=dtype,
        slope=slope,
        inter=intercept,
        padding=padding,
        remarks=remarks,
        dicom=_headers_by_slice(by_slice, headers, stack.mosaics),
        frames=tuple(plane.frame for plane in planes) if one_image else None,
    )


@dataclass(frozen=True)
class _Stack:
    """What was read: values (column, row, slice, volume), and the slices in their order.

    Headers and mosaics are by the number of their file.
    """

    values: np.ndarray
    affine: np.ndarray
    planes: list[Plane]
    headers: "dict[int, Dataset]"
    mosaics: dict[int, Mosaic]
    dtype: np.dtype
    remarks: tuple[str, ...]


def _read_stack(
    path: Path, entries: Sequence[_Entry], members: "_Members", volume: int | None, scale: int
) -> _Stack:
    """Lays out the slices and reads them.

    Again without the files whose pixel data prove to be damaged, where that is allowed.
    """
    members.check()
    planes: list[Plane] = []
    mosaics: dict[int, Mosaic] = {}
    for index, entry in enumerate(entries):
        with members.noting(entry.file.name):
            if entry.refused is not None:
                raise InputError(f"{entry.file.name}: {entry.refused}")
            slices, cut = entry.planes(index)
            planes += slices
            if cut is not None:
                mosaics[index] = cut
    members.check()
    files = [entry.file for entry in entries]
    while True:
        chosen, affine, remarks = _laid_out(path, planes, volume, members.unread)
        shape = _shape(chosen)
        require_memory(str(path), upright_shape(affine, shape), scale)
        wanted = [plane for one in chosen for plane in one.planes]
        damaged = len(members.unread)
        values, headers, dtype = _read_slices(files, wanted, mosaics, shape, members)
        members.check()
        if len(members.unread) == damaged:
            return _Stack(values, affine, wanted, headers, mosaics, dtype, tuple(remarks))
        lost = {file.name for file in members.unread}
        planes = [plane for plane in planes if files[plane.file].name not in lost]


def series_in(path: Path) -> set[str] | None:
    """The UIDs of the series at a place that hold a scan; None where nothing can be read there."""
    try:
        with dicom_files(path) as found:
            by_series, _ = _by_series(found)
    except InputError:
        return None
    return {
        uid for uid, entries in by_series.items() if any(entry.refused is None for entry in entries)
    }


class _Members:
    """The files of a series, and those of them that cannot be read, as they are found."""

    def __init__(self, path: Path, total: int, unread: Sequence[Unread], allowed: bool) -> None:
        self.path, self.total, self.unread, self.allowed = path, total, list(unread), allowed
        self.first: InputError | None = None

    @contextlib.contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Note what is wrong with a file, to go on with the others."""
        try:
            with dicom_errors(name):
                yield
        except InputError as error:
            self.first = self.first or error
            self.unread.append(Unread(name, str(error).removeprefix(f"{name}: ")))

    def check(self) -> None:
        """Refuse what cannot be read, unless that is allowed and not all there is."""
        if self.first is not None and len(self.unread) >= self.total:
            raise self.first  # what is wrong with all of them is not missing
        if self.unread and not self.allowed:
            raise InputError(unread_line(self.path, self.unread, self.total))


def _laid_out(
    path: Path, planes: Sequence[Plane], volume: int | None, unread: Sequence[Unread]
) -> tuple[list[Volume], np.ndarray, list[str]]:
    """The volumes that are wanted, their slices in order, their affine, and what is to be said."""
    name, remarks = str(path), list[str]()
    check_alike(planes, name)
    volumes = volumes_of(planes, name)
    if volume is not None and not 1 <= volume <= len(volumes):
        raise InputError(
            f"{name}: has no volume {volume}; choose --volume 1"
            + (f" to {len(volumes)}: {listed_volumes(volumes)}" if len(volumes) > 1 else "")
        )
    if volume is not None:
        chosen = [volumes[volume - 1]]
    elif len({one.part for one in volumes}) > 1:
        raise InputError(
            f"{name}: holds several parts of complex images; choose one volume by --volume:"
            f" {listed_volumes(volumes)}"
        )
    else:
        chosen = volumes
        if len(volumes) > 1:
            remarks.append(
                f"{name}: {len(volumes)} volumes, read as a 4-D series: {listed_volumes(volumes)};"
                " --volume takes one"
            )
    for one in chosen:
        holding = {plane.file for plane in one.planes}
        if 1 < len(holding) < len(one.planes):
            raise InputError(
                f"{name}: {len(holding)} multi-frame files in one volume; name one of the files"
            )
    stacks = [ordered(one.planes, name) for one in chosen]
    ordered_volumes = [
        replace(one, planes=stack) for one, (stack, _) in zip(chosen, stacks, strict=True)
    ]
    apart = missing_between(ordered_volumes[0].planes, surely=not unread)
    if unread:
        if apart is not None:
            raise InputError(
                f"{name}: without {len(unread)} files that cannot be read its slices are {apart};"
                f" get these files again: {listed(path, unread)}"
            )
        remarks.append(f"{name}: {len(unread)} files left out: {listed(path, unread)}")
    elif apart is not None:
        remarks.append(f"{name}: its slices are {apart}: some may be missing")
    return ordered_volumes, stacks[0][1], remarks


def _shape(volumes: Sequence[Volume]) -> tuple[int, ...]:
    first = volumes[0].planes[0]
    shape = (first.columns, first.rows, len(volumes[0].planes))
    return shape if len(volumes) == 1 else (*shape, len(volumes))


def _members(
    path: Path, found: Found, series: str | int | None
) -> tuple[list[_Entry], list[Unread], tuple[str, ...]]:
    """The files of the series that is wanted, what may be some and cannot be read, and remarks.

    A file whose header cannot be read belongs to the series that is in its folder.
    """
    by_series, unread = _by_series(found)
    if not by_series:
        raise InputError(unread_line(path, unread, len(unread)))
    chosen, notes = _chosen(path, by_series, series)
    places = {entry.file.place for entry in chosen}
    alone = len(by_series) == 1
    return chosen, [file for file in unread if alone or file.place in places], notes


def _by_series(found: Found) -> tuple[dict[str, list[_Entry]], list[Unread]]:
    by_series: dict[str, list[_Entry]] = {}
    unread = list(found.unread)
    for file in found.files:
        try:
            with dicom_errors(file.name):
                header = file.read(pixels=False, only=ELEMENTS)
                if _is_cut_off(header):
                    raise InputError(f"{file.name}: cut off in its header; copy or export it again")
                entry = _Entry(file, header, _why_no_slice(header))
                uid = str(header.get("SeriesInstanceUID") or "")
        except InputError as error:
            unread.append(Unread(file.name, str(error).removeprefix(f"{file.name}: ")))
        else:
            by_series.setdefault(uid, []).append(entry)
    return by_series, unread


def _is_cut_off(header: "Dataset") -> bool:
    """Whether a header ends before it says how large its image is."""
    if header.get("Rows") is not None or header.get("BitsAllocated") is not None:
        return False
    from pydicom.uid import UID, MediaStorageDirectoryStorage

    kind = UID(str(header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")))
    if kind == MediaStorageDirectoryStorage:
        return False
    if header.get("SeriesInstanceUID") is None:  # which all but directories have
        return True
    return "Image Storage" in kind.name and header.get("Modality") in (None, *MODALITIES)


def _why_no_slice(header: "Dataset") -> str | None:
    """What makes this object something else than a slice of a scan, with the remedy."""
    if header.get("Rows") is None or header.get("Columns") is None:
        return "not an image (a report, contour, plan or the like); name the images"
    if header.get("Modality") == "SEG" or str(header.get("SOPClassUID")) in SEGMENTATIONS:
        return (
            "a segmentation (DICOM SEG); convert it to .seg.nrrd or NIfTI first (3D Slicer, or"
            " dcmqi's segimage2itkimage), whose labels iconet keeps"
        )
    if header.get("Modality") not in MODALITIES:
        return f"not of modality {', '.join(MODALITIES)}; name a series of one of these"
    grey = str(header.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
    if header.get("SamplesPerPixel", 1) != 1 or not grey:
        return "a colour image; name the original greyscale series"
    image_type = header.get("ImageType") or []
    if "LOCALIZER" in ([image_type] if isinstance(image_type, str) else image_type):
        return "a localizer, not a volume; name the series planned on it"
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
            notes = (f"{path}: {len(matching) - len(scans)} series that iconet made left out",)
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
    files: Sequence[DicomFile],
    planes: Sequence[Plane],
    mosaics: Mapping[int, Mosaic],
    shape: tuple[int, ...],
    members: _Members,
) -> "tuple[np.ndarray, dict[int, Dataset], np.dtype]":
    """Values (column, row, slice, volume) as float32, headers by file index, and the stored type.

    Files that cannot be read are noted and have no header.
    """
    # Slice after slice in memory, as they come.
    values = np.empty(shape, dtype=np.float32, order="F")
    flat = values.reshape((*shape[:2], -1), order="F")
    place = {(plane.file, plane.frame): index for index, plane in enumerate(planes)}
    headers: dict[int, Dataset] = {}
    types = set()
    for index in sorted({plane.file for plane in planes}):
        name = files[index].name
        with members.noting(name):
            image = files[index].read(pixels=True)
            frames = stored_frames(image, name)
            if index in mosaics:
                frames = chain.from_iterable(map(mosaics[index].cut, frames))
            for frame, stored in enumerate(frames):
                if (k := place.get((index, frame))) is None:
                    continue
                with np.errstate(over="ignore"):
                    real = stored.T * planes[k].slope + planes[k].intercept
                    flat[:, :, k] = real
                if not np.isfinite(flat[:, :, k]).all():
                    raise InputError(f"{name}: values beyond float32; correct its rescale slope")
                types.add(stored.dtype.newbyteorder("="))
            for tag in [tag for tag in image.keys() if tag.group == PIXELS]:
                del image[tag]
            headers[index] = image
    return values, headers, np.result_type(*types) if types else np.dtype(np.float32)


def _headers_by_slice(
    planes: Sequence[Plane],
    headers: "dict[int, Dataset]",
    mosaics: Mapping[int, Mosaic],
) -> "tuple[Dataset, ...]":
    """The header of each slice."""
    parts = {
        index: mosaic.mosaic_slices(header, f"file {index + 1}")[1]
        for index, header in headers.items()
        if index in mosaics
    }
    return tuple(
        parts[plane.file][plane.frame] if plane.file in parts else headers[plane.file]
        for plane in planes
    )


def _unit(planes: Sequence[Plane], name: str) -> str:
    """The unit of all slices; empty for none."""
    units = {plane.unit for plane in planes}
    if len(units) > 1:
        raise InputError(f"{name}: slices in different units; export those of one unit alone")
    return units.pop()


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


def _nifti_header(
    affine: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, unit: str
) -> "Nifti1Header":
    import nibabel

    # The zeros stand for the voxels and take no memory.
    image = nibabel.Nifti1Image(np.broadcast_to(np.uint8(0), shape), affine)
    image.set_data_dtype(dtype)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    if unit:  # NIfTI has no place of its own for it
        image.header["descrip"] = f"values in {unit}".encode("ascii", "replace")[:79]
    if len(shape) == 4:
        image.header["pixdim"][4] = 0  # echoes or b-values are no seconds apart
    return image.header
