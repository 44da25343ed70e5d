"""Writes a scan as a new DICOM series derived from the one it was made from, or not at all.

It stays in the patient's study and frame of reference. What its headers say is in `derived_header`,
what they keep of the source's in `source_header`.
"""

import contextlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.files import complete_folder, write_errors
from iconet.images.dicom.derived_grid import DerivedGrid
from iconet.images.dicom.derived_header import (
    RESEARCH,
    SOP_CLASSES,
    Provenance,
    image_header,
    series_header,
    window_for,
)
from iconet.images.dicom.encoding import add_pixels, encoding_of, pet_encoding
from iconet.images.dicom.source_header import classic_headers, files_of_headers, value_of
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from pydicom import Dataset

ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"


def write_series(
    scan: Scan,
    headers: "Sequence[Dataset]",
    folder: str | os.PathLike[str],
    *,
    provenance: Provenance,
    replace: bool = False,
    rounding: np.ufunc = np.rint,
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
        rounding: To the nearest stored value, or down or up, as bounds must be.

    Returns:
        The files, in the order of K.

    Raises:
        InputError: No place to write, or a scan that a classic series cannot hold.
    """
    folder = Path(folder)
    modality, sources, grid = _checked(scan, headers, folder, replace)
    common = series_header(scan, grid, sources, modality, provenance)
    window = window_for(scan.array)
    whole = encoding_of(float(scan.array.min()), float(scan.array.max()))
    with _series_folder(folder, replace=replace) as partial, warnings.catch_warnings():
        # pydicom warns of values in the source that break the standard's rules: not ours to judge.
        warnings.simplefilter("ignore")
        names = [f"{k + 1:05d}.dcm" for k in range(scan.array.shape[2])]
        for k, name in enumerate(names):
            plane = scan.array[:, :, k].T
            encoding = pet_encoding(plane, scan.array) if modality == "PT" else whole
            image = image_header(k, grid, sources, encoding, common, window)
            add_pixels(image, plane, encoding, rounding)
            _save(image, partial / name)
    return [folder / name for name in names]


def as_stored(scan: Scan, headers: "Sequence[Dataset]") -> np.ndarray:
    """The values that readers get of what `write_series` writes."""
    values = scan.array
    if str(value_of(headers[0], "Modality")) != "PT":
        return encoding_of(float(values.min()), float(values.max())).restored(values)
    planes = [pet_encoding(plane, values).restored(plane) for plane in np.moveaxis(values, 2, 0)]
    return np.stack(planes, axis=2)


def check_series(
    scan: Scan,
    headers: "Sequence[Dataset]",
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


def _checked(
    scan: Scan, headers: "Sequence[Dataset]", folder: Path, replace: bool
) -> "tuple[str, list[tuple[Dataset, int]], DerivedGrid]":
    """The modality, each source slice's header with its frame (0: a file of its own), the grid."""
    inputs = files_of_headers(headers) + ([] if scan.path is None else [scan.path])
    check_folder(folder, inputs, replace=replace)
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
    modality = str(value_of(headers[0], "Modality")) if len(headers) else ""
    enhanced_pet = len(headers) > 0 and value_of(headers[0], "SOPClassUID") == ENHANCED_PET
    parametric = len(headers) > 0 and value_of(headers[0], "SOPClassUID") == PARAMETRIC_MAP
    if modality not in SOP_CLASSES or enhanced_pet or parametric:
        raise InputError(
            f"{folder}: derived series are written for MR, CT and classic PET images only; write"
            " .nii.gz"
        )
    sources = [source for header in headers for source in classic_headers(header)]
    if scan.frames is not None and len(sources) > 1:
        sources = [sources[frame] for frame in scan.frames]
    if any(len(value_of(header, "ImagePositionPatient") or ()) != 3 for header, _ in sources):
        raise InputError(f"{folder}: a source image has no position; write .nii.gz")
    return modality, sources, DerivedGrid.of(scan, sources, folder)


def _save(image: "Dataset", path: Path) -> None:
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
