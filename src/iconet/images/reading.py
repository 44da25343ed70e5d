"""Reads a scan, or says in one line why it cannot be used.

Voxels are streamed in chunks into one float32 array. That needs no second copy of the volume,
scales in double precision, notices a truncated file, and stops decompressing where the header says
that the voxels end.
"""

import contextlib
import gzip
import io
import logging
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom.sources import is_dicom
from iconet.images.geometry import check_affine
from iconet.images.memory import require_memory, require_substance
from iconet.images.native import native_messages
from iconet.images.one_line import one_line_errors
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.spatialimages import SpatialImage

    from iconet.images.text_headers.layout import Layout

NIFTI = (".nii.gz", ".nii")
NRRD = (".nrrd", ".nhdr")
METAIMAGE = (".mha", ".mhd")
SUFFIXES = (*NIFTI, *NRRD, *METAIMAGE, ".npy", ".png", ".tiff", ".tif")
CHUNK = 1 << 20  # voxels scaled at a time: their float64 copy stays below 10 MB
LARGEST_EXTENSIONS = 1 << 26  # bytes between header and voxels; real ones stay below a few MB
PADDING = 4096  # bytes after the voxels that are taken for block padding
DEFLATE_RATIO = 1032  # zlib cannot do better, so a smaller .gz cannot hold what its header claims


def suffix_of(path: Path) -> str:
    """The supported ending of a file name, in lower case.

    Raises:
        InputError: None of the supported ones.
    """
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")


def stem_of(path: Path) -> str:
    """A file name without its supported ending."""
    return path.name[: -len(suffix_of(path))]


def read(path: str | os.PathLike[str], *, scale: int = 1, series: str | int | None = None) -> Scan:
    """Reads a scan without Inf, of sound geometry, that fits into memory.

    Args:
        path: A NIfTI-1/2 file (`.nii`, `.nii.gz`; 2-D, 3-D or 4-D), NRRD (`.nrrd`, `.nhdr`) or
            MetaImage (`.mha`, `.mhd`), a NumPy array (`.npy`; axes as in NIfTI), an 8 or 16-bit
            greyscale picture (`.png`, `.tif`, `.tiff`), or a DICOM series: its folder, one file, a
            zip or a DICOMDIR.
        scale: The enlargement that is to follow; memory for its result is demanded too.
        series: Which of several DICOM series: as in `read_series`.

    Returns:
        The scan; values of 64-bit types are rounded to float32.

    Raises:
        InputError: Whatever is wrong with the file, in one line that names it and the remedy.
    """
    path = Path(path)
    with one_line_errors(str(path)):
        if holds_dicom(path):
            from iconet.images.dicom.series import read_series

            return read_series(path, series=series, scale=scale)
        suffix = suffix_of(path)
        if series is not None:
            raise InputError(f"{path}: not DICOM, it has no series to choose from; omit --series")
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        if not path.is_file():
            raise InputError(f"{path}: not a regular file; copy the data into one first")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: empty (0 bytes); copy or export it again")
        if suffix in NIFTI:
            return _read_nifti(path, scale, compressed=suffix == ".nii.gz")
        if suffix in NRRD:
            from iconet.images.text_headers.nrrd import read_nrrd_header

            return _read_behind_text(path, read_nrrd_header(path), scale)
        if suffix in METAIMAGE:
            from iconet.images.text_headers.metaimage import read_metaimage_header

            return _read_behind_text(path, read_metaimage_header(path), scale)
        if suffix == ".npy":
            # Mapped: shape and type are known, and a truncated file refused, before any allocation.
            return from_array(np.lib.format.open_memmap(path, mode="r"), path=path, scale=scale)
        return _read_picture(path, scale)


def holds_dicom(path: Path) -> bool:
    """Whether `read` takes this for DICOM: a folder, or such a file of no other known suffix."""
    return not (path.is_file() and path.name.lower().endswith(SUFFIXES)) and is_dicom(path)


def from_array(array: np.ndarray, *, path: Path | None = None, scale: int = 1) -> Scan:
    """A scan without geometry from numbers in memory.

    Args:
        array: Integers or floating point; (i, j), (i, j, k) or (i, j, k, t).
        path: The file it came from, for messages.
        scale: As in `read`.

    Raises:
        InputError: A wrong number of axes, no voxels, complex or other types, Inf, NaN alone.
    """
    name = str(path) if path is not None else "the given array"
    _check_layout(name, array.shape, array.dtype)
    require_memory(name, array.shape, scale)
    values = _real_world(array, 1, 0)
    _check_values(name, values)
    return Scan(values, path=path, dtype=array.dtype)


def refuse_nan(scan: Scan) -> None:
    """Refuses a scan for what NaN makes no sense in: measuring, teaching, lowering its resolution.

    Raises:
        InputError: It holds NaN.
    """
    if np.isnan(scan.array.min()):
        raise InputError(
            f"{scan.name}: {int(np.count_nonzero(np.isnan(scan.array)))} voxels are NaN; replace"
            " them first, for example by 0 (numpy.nan_to_num, fslmaths -nan)"
        )


def from_nibabel(image: "SpatialImage", *, scale: int = 1) -> Scan:
    """A scan from any spatial image of nibabel.

    Args:
        image: In memory or, as `nibabel.load` returns it, still on disk.
        scale: As in `read`.

    Raises:
        InputError: As in `read`.
    """
    import nibabel
    from nibabel.arrayproxy import ArrayProxy

    data: Any = image.dataobj
    filename = image.get_filename()
    name = filename or "the given image"
    _check_layout(name, data.shape, data.dtype)
    require_memory(name, data.shape, scale)
    if image.affine is None:
        raise InputError(f"{name}: has no affine; set one, or pass the array alone")
    check_affine(image.affine, name)
    # The header of another format becomes a NIfTI header, and follows an affine set by hand.
    nifti2 = isinstance(image, nibabel.Nifti2Image)
    kind = nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image
    header = kind(np.broadcast_to(np.uint8(0), data.shape), image.affine, image.header).header
    slope, inter = 1.0, 0.0
    with one_line_errors(name):
        if isinstance(data, ArrayProxy):
            slope, inter = float(data.slope), float(data.inter)
            stored = data.get_unscaled()
        else:
            stored = np.asanyarray(data)
        values = np.empty(stored.shape, dtype=np.float32, order="F")
        for index in range(values.shape[-1]):
            values[..., index] = _real_world(stored[..., index], slope, inter)
    _check_values(name, values)
    return Scan(
        values,
        affine=np.asarray(header.get_best_affine(), dtype=np.float64),
        header=header,
        path=None if filename is None else Path(filename),
        dtype=stored.dtype,
        slope=slope,
        inter=inter,
    )


def _read_nifti(path: Path, scale: int, *, compressed: bool) -> Scan:
    name, size = str(path), path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(2)
        if (magic == b"\x1f\x8b") != compressed:
            raise InputError(
                f"{path}: not compressed; rename it to .nii if it is a NIfTI file"
                if compressed
                else f"{path}: compressed by gzip; rename it to .nii.gz"
            )
        file.seek(0)
        with gzip.GzipFile(fileobj=file) if compressed else file as opened:
            stream = cast(BinaryIO, opened)
            header = read_nifti_header(name, stream)
            dtype = header.get_data_dtype()
            shape = header.get_data_shape()
            _check_layout(name, shape, dtype)
            claimed = math.prod(shape) * dtype.itemsize
            most = size * DEFLATE_RATIO if compressed else size - int(header["vox_offset"])
            if claimed > most:
                raise _truncated(name, claimed, size)
            if compressed:
                require_substance(name, max(claimed, 4 * math.prod(shape)), size)
            require_memory(name, shape, scale)
            with np.errstate(invalid="ignore"):  # a signalling NaN, refused in the next line
                affine = np.asarray(header.get_best_affine(), dtype=np.float64)
            check_affine(affine, name)
            slope, inter = header.get_slope_inter()
            slope, inter = (1.0 if slope is None else slope), (0.0 if inter is None else inter)
            values = _read_voxels(name, stream, math.prod(shape), dtype, slope, inter)
    return Scan(
        values.reshape(shape, order="F"),
        affine=affine,
        header=header,
        path=path,
        dtype=dtype,
        slope=float(slope),
        inter=float(inter),
    )


def _read_behind_text(path: Path, layout: "Layout", scale: int) -> Scan:
    """The voxels that a text header describes, behind it or in a file beside it."""
    from iconet.images.text_headers.layout import Inflating, nifti_header

    name, size = str(path), layout.data.stat().st_size
    _check_layout(name, layout.image_shape, layout.dtype)
    claimed = math.prod(layout.shape) * layout.dtype.itemsize
    start = size - claimed if layout.start == -1 else layout.start
    held = max(size - start, 0) * (DEFLATE_RATIO if layout.compressed else 1)
    if start < 0 or layout.skip + claimed > held:
        raise _truncated(name, claimed, size)
    if layout.skip > LARGEST_EXTENSIONS:
        raise InputError(f"{name}: skips {_bytes(layout.skip)}; save it as one file")
    if layout.compressed:
        require_substance(name, max(claimed, 4 * math.prod(layout.shape)), size)
    require_memory(name, layout.shape, scale)
    with layout.data.open("rb") as file:
        file.seek(start)
        stream = cast(BinaryIO, Inflating(file) if layout.compressed else file)
        stream.read(layout.skip)
        values = _read_voxels(name, stream, math.prod(layout.shape), layout.dtype, 1.0, 0.0)
    values = values.reshape(layout.shape, order="F")
    return Scan(
        values if layout.volumes is None else np.moveaxis(values, layout.volumes, -1),
        affine=layout.affine,
        header=nifti_header(layout),
        path=path,
        dtype=layout.dtype,
        data_path=None if layout.data == path else layout.data,
        keywords=layout.keywords,
    )


def read_nifti_header(name: str, stream: BinaryIO) -> "Nifti1Header":
    """The header of a NIfTI file, with the stream left at its voxels.

    Raises:
        InputError: No such header, or one of impossible numbers.
    """
    from nibabel import Nifti1Header, Nifti2Header, imageglobals

    start = stream.read(Nifti1Header.template_dtype.itemsize)
    kind: type[Nifti1Header] = Nifti1Header
    if not kind.may_contain_header(start):
        kind = Nifti2Header
        start += stream.read(kind.template_dtype.itemsize - len(start))
    if len(start) < kind.template_dtype.itemsize or not kind.may_contain_header(start):
        raise InputError(f"{name}: not a NIfTI file, or cut off; export it as NIfTI again")
    # nibabel repairs impossible spacings with a guess: look at them before it does.
    raw = kind(start, check=False)
    axes = min(max(int(raw["dim"][0]), 0), 3)
    spacing = np.asarray(raw["pixdim"][1 : 1 + axes], dtype=np.float64)
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        listed = ", ".join(f"{mm:g}" for mm in spacing)
        raise InputError(
            f"{name}: the voxel spacing ({listed} mm) must be positive; correct the header's pixdim"
        )
    offset = float(raw["vox_offset"])
    if not kind.template_dtype.itemsize <= offset <= LARGEST_EXTENSIONS:
        raise InputError(
            f"{name}: its header puts the voxels at byte {offset:g}, which is impossible; export it"
            " again"
        )
    start += stream.read(int(offset) - len(start))
    if len(start) < offset:
        raise InputError(f"{name}: truncated: it ends inside its header; copy or export it again")
    with imageglobals.LoggingOutputSuppressor():
        # Without any handler Python prints warnings itself.
        imageglobals.logger.addHandler(logging.NullHandler())
        return kind.from_fileobj(io.BytesIO(start))


def _read_voxels(
    name: str, stream: BinaryIO, voxels: int, dtype: np.dtype[Any], slope: float, inter: float
) -> np.ndarray:
    """All voxels in the file's order as real-world float32 values, in bounded extra memory."""
    values = np.empty(voxels, dtype=np.float32)
    for start in range(0, voxels, CHUNK):
        part = values[start : start + CHUNK]
        block = stream.read(part.size * dtype.itemsize)
        if len(block) < part.size * dtype.itemsize:
            have = start * dtype.itemsize + len(block)
            raise InputError(
                f"{name}: truncated: {_bytes(have)} of {_bytes(voxels * dtype.itemsize)} of voxels"
                " are there; copy or export it again"
            )
        stored = np.frombuffer(block, dtype=dtype)
        part[:] = _real_world(stored, slope, inter)
    # Reading past the end also makes gzip verify its checksum.
    if len(stream.read(PADDING + 1)) > PADDING:
        raise InputError(
            f"{name}: holds more data than its header promises; correct the header's dim, or export"
            " it again"
        )
    _check_values(name, values)
    return values


@contextlib.contextmanager
def _bombs_refused(path: Path) -> Iterator[None]:
    """Of every page, not of the first alone."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(
            f"{path}: too many pixels for a picture; crop it, or save it as .npy"
        ) from error


def _read_picture(path: Path, scale: int) -> Scan:
    from PIL import Image
    from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

    with _bombs_refused(path), Image.open(path, formats=("PNG", "TIFF")) as picture:
        pages = getattr(picture, "n_frames", 1)
        if pages > 1:
            raise InputError(
                f"{path}: holds {pages} pages; save each as its own picture, or the stack as"
                " .nii or .npy"
            )
        if picture.mode != "L" and not picture.mode.startswith("I;16"):
            raise InputError(
                f"{path}: not 8 or 16-bit greyscale (its mode is {picture.mode}); convert it to"
                " greyscale first"
            )
        if (
            isinstance(picture, TiffImageFile)
            and picture.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0
        ):
            raise InputError(
                f"{path}: stores white as zero; save it with black as zero (MinIsBlack)"
            )
        require_substance(str(path), 4 * math.prod(picture.size), path.stat().st_size)
        require_memory(str(path), picture.size, scale)
        with native_messages():
            values = np.asarray(picture)
        return from_array(values, path=path, scale=scale)


def _check_layout(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuses types and shapes that are not a scalar image."""
    if dtype.names is not None:
        raise InputError(f"{name}: a colour (RGB) image; convert it to greyscale first")
    if dtype.kind == "c":
        raise InputError(f"{name}: complex values; take the magnitude first")
    if dtype.kind not in "iuf":
        raise InputError(f"{name}: values of type {dtype}; convert them to numbers first")
    if len(shape) not in (2, 3, 4):
        raise InputError(f"{name}: {len(shape)}-D; give a 2-D, 3-D or 4-D image")
    if min(shape) < 1:
        raise InputError(f"{name}: no voxels (its size is {shape}); export it again")


def _real_world(stored: np.ndarray, slope: float, inter: float) -> np.ndarray:
    """A float32 copy with the scaling applied; what does not fit becomes Inf."""
    with np.errstate(over="ignore", invalid="ignore"):
        if slope != 1 or inter != 0:
            stored = stored.astype(np.float64) * slope + inter
        return np.array(stored, dtype=np.float32)


def _check_values(name: str, values: np.ndarray) -> None:
    """Refuses Inf, and NaN alone; some NaN is a background."""
    # The extremes beside NaN tell it without a mask as large as the volume.
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    if np.isnan(low):
        raise InputError(f"{name}: every voxel is NaN; export it again")
    if np.isinf(low) or np.isinf(high):
        count = int(np.count_nonzero(np.isinf(values)))
        raise InputError(
            f"{name}: {count} voxels are Inf or beyond float32; replace them first, for example by"
            " NaN, which is kept (numpy.where)"
        )


def _truncated(name: str, claimed: int, size: int) -> InputError:
    return InputError(
        f"{name}: truncated: its header claims {_bytes(claimed)} of voxels and the file holds"
        f" {_bytes(size)}; copy or export it again"
    )


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count} bytes"
