"""Reads one DICOM series as a volume, or says in one line why it cannot be used."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom import mosaic
from iconet.images.dicom.mosaic import Mosaic
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
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
PIXELS = 0x7FE0  # the group of the pixel data and its offset tables
MOST_LISTED = 20  # series in an error line
# All that choosing a series and laying out its grid need: a header in full takes 100 kB of memory.
ELEMENTS: list[str | int] = [
    *mosaic.ELEMENTS,
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SpecificCharacterSet"),
    *("Modality", "ImageType", "ModalityLUTSequence"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("RealWorldValueMappingSequence", "SOPClassUID"),
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
        entries = _chosen(path, _by_series(files), series)
        planes: list[Plane] = []
        mosaics: dict[int, Mosaic] = {}
        for index, entry in enumerate(entries):
            if entry.refused is not None:
                raise InputError(f"{entry.file.name}: {entry.refused}")
            with dicom_errors(entry.file.name):
                slices, cut = entry.planes(index)
            planes += slices
            if cut is not None:
                mosaics[index] = cut
        if len(entries) > 1 and len(planes) > len(entries) and not mosaics:
            raise InputError(
                f"{path}: {len(entries)} multi-frame files in one series; name one of the files"
            )
        planes, affine = ordered(planes, str(path))
        check_affine(affine, str(path))
        shape = (planes[0].columns, planes[0].rows, len(planes))
        require_memory(str(path), shape, scale)
        files_read = [entry.file for entry in entries]
        values, headers, dtype = _read_slices(files_read, planes, mosaics, shape)
    slope, intercept = planes[0].slope, planes[0].intercept
    if any((plane.slope, plane.intercept) != (slope, intercept) for plane in planes):
        # Slices that are scaled differently have no integers in common.
        slope, intercept, dtype = 1.0, 0.0, np.dtype(np.float32)
    return Scan(
        values,
        affine=affine,
        header=_nifti_header(affine, values.shape, dtype, _unit(planes, str(path))),
        path=path,
        dtype=dtype,
        slope=slope,
        inter=intercept,
        padding=_padding(planes, headers),
        dicom=_headers_by_slice(planes, headers, mosaics, str(path)),
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
        return "a localizer, which is no volume; name the series planned on it"
    if header.get("ModalityLUTSequence"):
        return "its values go through a lookup table; export it with a rescale slope"
    return None


def _chosen(path: Path, found: dict[str, list[_Entry]], series: str | int | None) -> list[_Entry]:
    """The one series that was asked for, or that is a scan at all."""
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
        problem = f"{len(matching)} series"
    if len(matching) != 1:
        listing = _listing(matching or list(found), found)
        raise InputError(f"{path}: {problem}; choose by --series {listing}")
    return found[matching[0]]


def _listing(uids: Sequence[str], found: dict[str, list[_Entry]]) -> str:
    numbers = [_series_number(entries[0].header) for entries in found.values()]
    lines = []
    for uid in uids:
        header = found[uid][0].header
        number = _series_number(header)
        called = number if number and numbers.count(number) == 1 else _plain(uid)
        modality = header.get("Modality")
        kind = modality if modality in MODALITIES else "other"
        lines.append((len(called), called, f"{called} ({kind}, {len(found[uid])} files)"))
    listed = [line for _, _, line in sorted(lines)]
    rest = len(listed) - MOST_LISTED
    return ", ".join(listed[:MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _series_number(header: "Dataset") -> str:
    number = header.get("SeriesNumber")
    return "" if number is None else str(int(number))


def _description(header: "Dataset") -> str:
    """To be compared with, never shown: people write names into it."""
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
    shape: tuple[int, int, int],
) -> "tuple[np.ndarray, dict[int, Dataset], np.dtype]":
    """Values (column, row, slice) as float32, headers by file index, and the stored type."""
    # Slice after slice in memory, as they come.
    values = np.empty(shape, dtype=np.float32, order="F")
    place = {(plane.file, plane.frame): index for index, plane in enumerate(planes)}
    headers, types = {}, set()
    for index, file in enumerate(files):
        with dicom_errors(file.name):
            image = file.read(pixels=True)
            frames = stored_frames(image, file.name)
            if index in mosaics:
                frames = chain.from_iterable(map(mosaics[index].cut, frames))
            for frame, stored in enumerate(frames):
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


def _headers_by_slice(
    planes: Sequence[Plane],
    headers: "dict[int, Dataset]",
    mosaics: Mapping[int, Mosaic],
    name: str,
) -> "tuple[Dataset, ...]":
    """As `Scan.dicom` has them."""
    if mosaics:
        parts = {index: mosaic.mosaic_slices(headers[index], name)[1] for index in mosaics}
        return tuple(parts[plane.file][plane.frame] for plane in planes)
    return tuple(headers[i] for i in ([0] if len(headers) == 1 else [p.file for p in planes]))


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
    return image.header
