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
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from iconet.errors import InputError
from iconet.images.content import why_no_content
from iconet.images.dicom.sources import is_dicom
from iconet.images.geometry import check_affine
from iconet.images.memory import require_memory, require_substance
from iconet.images.mgh import SUFFIXES as MGH
from iconet.images.mgh import read_mgh_header, repetition_time
from iconet.images.native import native_messages
from iconet.images.one_line import one_line_errors
from iconet.images.scan import Scan
from iconet.images.text_headers.layout import PADDING, Inflating, Layout, nifti_header
from iconet.images.units import in_millimetres, millimetres_of, units_of

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.spatialimages import SpatialImage

NIFTI = (".nii.gz", ".nii")
NRRD = (".nrrd", ".nhdr")
METAIMAGE = (".mha", ".mhd")
PAIR = (".img", ".hdr")
SUFFIXES = (*NIFTI, *NRRD, *METAIMAGE, *MGH, *PAIR, ".npy", ".png", ".tiff", ".tif")
CHUNK = 1 << 20  # voxels scaled at a time: their float64 copy stays below 10 MB
LARGEST_EXTENSIONS = 1 << 26  # bytes between header and voxels; real ones stay below a few MB
FLOAT32 = np.dtype(np.float32)
FLOAT32_WHOLE = 1 << 24  # whole numbers up to this one are exact in it
SIGNED = 2  # of TIFF's SampleFormat
LARGEST_DENSITY = 1e7  # pixels an inch; electron microscopes stay below
DEFLATE_RATIO = 1032  # zlib cannot do better, so a smaller .gz cannot hold what its header claims

# Pillow logs what it raises too, and without any handler Python prints that itself.
logging.getLogger("PIL").addHandler(logging.NullHandler())


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


def read(
    path: str | os.PathLike[str],
    *,
    scale: int = 1,
    series: str | int | None = None,
    volume: int | None = None,
    allow_missing: bool = False,
) -> Scan:
    """Reads a scan without Inf, of sound geometry, that fits into memory.

    Args:
        path: A NIfTI-1/2 file (`.nii`, `.nii.gz`; 2-D, 3-D or 4-D), NRRD (`.nrrd`, `.nhdr`),
            MetaImage (`.mha`, `.mhd`) or FreeSurfer volume (`.mgh`, `.mgz`), NIfTI or Analyze in
            two files (`.img` and `.hdr`; either names both), a NumPy array (`.npy`; axes as in
            NIfTI), an 8 or 16-bit greyscale picture (`.png`, `.tif`, `.tiff`), or a DICOM series:
            its folder, one file, a zip or a DICOMDIR.
        scale: The enlargement that is to follow; memory for its result is demanded too.
        series: Which of several DICOM series: as in `read_series`.
        volume: Which volume of a 4-D scan, or of a DICOM series of several, from 1; None: all.
        allow_missing: Of a DICOM series: as in `read_series`.

    Returns:
        The scan; values of 64-bit types are rounded to float32.

    Raises:
        InputError: Whatever is wrong with the file, in one line that names it and the remedy.
    """
    path = Path(path)
    with one_line_errors(str(path)):
        if (why := why_no_content(path)) is not None:
            raise InputError(f"{path}: {why}")
        if holds_dicom(path):
            from iconet.images.dicom.series import read_series

            return read_series(
                path, series=series, volume=volume, allow_missing=allow_missing, scale=scale
            )
        suffix = suffix_of(path)
        if series is not None:
            raise InputError(f"{path}: not DICOM, it has no series to choose from; omit --series")
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        if not path.is_file():
            raise InputError(f"{path}: not a regular file; copy the data into one first")
        scan = _read_file(path, suffix, scale)
        return scan if volume is None else _one_volume(scan, volume)


def _read_file(path: Path, suffix: str, scale: int) -> Scan:
    if suffix in NIFTI:
        return _read_nifti(path, scale, compressed=suffix == ".nii.gz")
    if suffix in NRRD:
        from iconet.images.text_headers.nrrd import read_nrrd_header

        return _read_behind_text(path, read_nrrd_header(path), scale)
    if suffix in METAIMAGE:
        from iconet.images.text_headers.metaimage import read_metaimage_header

        return _read_behind_text(path, read_metaimage_header(path), scale)
    if suffix in MGH:
        return _read_behind_text(path, read_mgh_header(path), scale)
    if suffix in PAIR:
        return _read_pair(path, scale)
    if suffix == ".npy":
        # Mapped: shape and type are known, and a truncated file refused, before any allocation.
        return from_array(np.lib.format.open_memmap(path, mode="r"), path=path, scale=scale)
    return _read_picture(path, scale)


def _one_volume(scan: Scan, volume: int) -> Scan:
    """One volume of a series, from 1; what is none has one."""
    count = scan.array.shape[3] if scan.array.ndim == 4 else 1
    if not 1 <= volume <= count:
        to = f" to {count}" if count > 1 else ""
        raise InputError(f"{scan.name}: has no volume {volume}; choose --volume 1{to}")
    if scan.array.ndim < 4:
        return scan
    header = None if scan.header is None else scan.header.copy()
    if header is not None:
        header.set_data_shape(scan.array.shape[:3])
    array = np.asarray(scan.array[..., volume - 1], order="A" if scan.affine is None else "F")
    # B-values and gradients are those of the series.
    return replace(scan, array=array, header=header, keywords={})


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
    array = array.reshape(_without_single_axes(array.shape))
    _check_layout(name, array.shape, array.dtype)
    require_memory(name, array.shape, scale)
    values = _real_world(array, 1, 0, _exact_type(array, 1, 0))
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
    shape = _without_single_axes(data.shape)
    _check_layout(name, shape, data.dtype)
    require_memory(name, shape, scale)
    if image.affine is None:
        raise InputError(f"{name}: has no affine; set one, or pass the array alone")
    check_affine(image.affine, name)
    # The header of another format becomes a NIfTI header, and follows an affine set by hand.
    nifti2 = isinstance(image, nibabel.Nifti2Image)
    kind = nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image
    header = kind(np.broadcast_to(np.uint8(0), shape), image.affine, image.header).header
    slope, inter = 1.0, 0.0
    with one_line_errors(name):
        if isinstance(data, ArrayProxy):
            slope, inter = float(data.slope), float(data.inter)
            stored = data.get_unscaled()
        else:
            stored = np.asanyarray(data)
        dtype = _exact_type(stored, slope, inter)
        stored = stored.reshape(shape)
        values = np.empty(shape, dtype=dtype, order="F")
        for index in range(values.shape[-1]):
            values[..., index] = _real_world(stored[..., index], slope, inter, dtype)
    _check_values(name, values)
    return Scan(
        values,
        affine=in_millimetres(header.get_best_affine(), header),
        remarks=_on_units(name, header),
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
            held = size * DEFLATE_RATIO if compressed else size - int(header["vox_offset"])
            return _of_nifti(path, header, stream, held, scale, packed=size if compressed else None)


def _of_nifti(
    path: Path,
    header: "Nifti1Header",
    stream: BinaryIO,
    held: int,
    scale: int,
    *,
    packed: int | None = None,
) -> Scan:
    """The scan that a header describes, whose voxels come next; at most `held` bytes of them."""
    name = str(path)
    dtype = header.get_data_dtype()
    shape = _without_single_axes(header.get_data_shape())
    _check_layout(name, shape, dtype)
    if shape != header.get_data_shape():
        header.set_data_shape(shape)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > held:
        raise _truncated(name, claimed, packed or held)
    if packed is not None:
        require_substance(name, max(claimed, 4 * math.prod(shape)), packed)
    require_memory(name, shape, scale)
    with np.errstate(invalid="ignore"):  # a signalling NaN, refused in the next line
        affine = in_millimetres(header.get_best_affine(), header)
    check_affine(affine, name)
    slope, inter = header.get_slope_inter()
    slope, inter = (1.0 if slope is None else slope), (0.0 if inter is None else inter)
    values, _ = _read_voxels(name, stream, math.prod(shape), dtype, slope, inter)
    return Scan(
        values.reshape(shape, order="F"),
        affine=affine,
        header=header,
        path=path,
        dtype=dtype,
        remarks=_on_units(name, header),
        slope=float(slope),
        inter=float(inter),
    )


def _read_pair(path: Path, scale: int) -> Scan:
    """NIfTI or Analyze whose header and voxels are in two files of one name."""
    upper = path.suffix.isupper()
    header_path, data = (
        path.with_suffix(suffix.upper() if upper else suffix) for suffix in (".hdr", ".img")
    )
    other = data if path == header_path else header_path
    if (why := why_no_content(other)) is not None:
        raise InputError(f"{path}: {other.name}, which belongs to it, is {why}")
    if not other.is_file():
        raise InputError(f"{path}: {other.name}, which belongs to it, is missing; put it beside it")
    two = f"{path}: header and voxels in two files; the result is one NIfTI file"
    with header_path.open("rb") as file:
        start = file.read(LARGEST_EXTENSIONS)
    size = data.stat().st_size
    if (single := _as_single(start)) is None:
        return replace(
            _read_analyze(path, header_path, start, size, scale), remarks=(two, *_on_turn(path))
        )
    stream, offset = single
    header = read_nifti_header(str(path), stream)
    if not 0 <= offset <= LARGEST_EXTENSIONS:
        raise InputError(f"{path}: its header puts the voxels at byte {offset:g}; export it again")
    with data.open("rb") as file:
        file.seek(int(offset))
        scan = _of_nifti(path, header, file, size - int(offset), scale)
    return replace(scan, data_path=other, remarks=(two, *scan.remarks))


def _on_turn(path: Path) -> tuple[str, ...]:
    """What is to be said of left and right, where SPM's matrix beside an Analyze file does not."""
    if path.with_suffix(".mat").exists():
        return ()
    return (f"{path}: Analyze says nothing of left and right: its first voxel is taken as right",)


def _as_single(start: bytes) -> tuple[BinaryIO, float] | None:
    """The header of two files as that of one, and where the voxels are; None if it is Analyze's."""
    for kind, magic, single in ((1, b"ni1\0", b"n+1\0"), (2, b"ni2\0", b"n+2\0")):
        at, offset_at, size = (344, 108, 348) if kind == 1 else (4, 168, 540)
        if start[at : at + 4] != magic or len(start) < size:
            continue
        sizes = (struct.unpack_from(order + "i", start)[0] for order in "<>")
        order = "<" if next(sizes) == size else ">"
        layout = order + ("f" if kind == 1 else "q")
        (offset,) = struct.unpack_from(layout, start, offset_at)
        made = bytearray(start if len(start) >= size + 4 else start[:size] + bytes(4))
        made[at : at + 4] = single
        struct.pack_into(layout, made, offset_at, len(made))
        return io.BytesIO(made), float(offset)
    return None


def _read_analyze(path: Path, header_path: Path, start: bytes, size: int, scale: int) -> Scan:
    """The older format, whose places nibabel knows from SPM's fields, or has a convention for."""
    import nibabel

    if not nibabel.AnalyzeImage.header_class.may_contain_header(start):
        raise InputError(f"{path}: neither NIfTI nor Analyze; export it as NIfTI again")
    header = nibabel.Spm2AnalyzeImage.header_class(start[:348], check=False)
    claimed = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    _check_layout(str(path), _without_single_axes(header.get_data_shape()), header.get_data_dtype())
    if claimed > size:
        raise _truncated(str(path), claimed, size)
    with _nibabel_in_silence():
        scan = from_nibabel(nibabel.Spm2AnalyzeImage.from_filename(header_path), scale=scale)
    other = path.with_suffix(".img" if path == header_path else ".hdr")
    return replace(scan, path=path, data_path=other)


def _read_behind_text(path: Path, layout: Layout, scale: int) -> Scan:
    """The voxels that a header describes, behind it or in a file beside it."""
    if layout.data != path and (why := why_no_content(layout.data)) is not None:
        raise InputError(f"{path}: its voxels in {layout.data.name} are {why}")
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
        values, behind = _read_voxels(
            name, stream, math.prod(layout.shape), layout.dtype, most_behind=layout.most_behind
        )
    if path.name.lower().endswith(MGH):
        layout = replace(layout, step=repetition_time(behind))
    values = values.reshape(layout.shape, order="F")
    return Scan(
        values if layout.volumes is None else np.moveaxis(values, layout.volumes, -1),
        affine=layout.affine,
        header=nifti_header(layout),
        path=path,
        dtype=layout.dtype,
        data_path=None if layout.data == path else layout.data,
        keywords=layout.keywords,
        remarks=layout.remarks,
    )


def _on_units(name: str, header: "Nifti1Header") -> tuple[str, ...]:
    """What is to be said of lengths that are not in millimetres."""
    unit = units_of(header)[0]
    return () if millimetres_of(header) == 1 else (f"{name}: its lengths are in {unit}, not mm",)


def read_nifti_header(name: str, stream: BinaryIO) -> "Nifti1Header":
    """The header of a NIfTI file, with the stream left at its voxels.

    Raises:
        InputError: No such header, or one of impossible numbers.
    """
    from nibabel import Nifti1Header, Nifti2Header

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
    with _nibabel_in_silence():
        return kind.from_fileobj(io.BytesIO(start))


@contextlib.contextmanager
def _nibabel_in_silence() -> Iterator[None]:
    from nibabel import imageglobals

    with imageglobals.LoggingOutputSuppressor():
        # Without any handler Python prints warnings itself.
        imageglobals.logger.addHandler(logging.NullHandler())
        yield


def _read_voxels(
    name: str,
    stream: BinaryIO,
    voxels: int,
    dtype: np.dtype[Any],
    slope: float = 1.0,
    inter: float = 0.0,
    *,
    most_behind: int = PADDING,
) -> tuple[np.ndarray, bytes]:
    """All voxels in the file's order as real-world float32 values, and what is behind them.

    In bounded extra memory.
    """
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
        if values.dtype != (exact := _exact_type(stored, slope, inter)) == np.float64:
            values = values.astype(exact)  # what came before had fewer digits
            part = values[start : start + CHUNK]
        part[:] = _real_world(stored, slope, inter, values.dtype)
    # Reading past the end also makes gzip verify its checksum.
    if len(behind := stream.read(most_behind + 1)) > most_behind:
        raise InputError(
            f"{name}: holds more data than its header promises; correct the header's dim, or export"
            " it again"
        )
    _check_values(name, values)
    return values, behind


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
    from PIL.TiffImagePlugin import (
        BITSPERSAMPLE,
        PHOTOMETRIC_INTERPRETATION,
        SAMPLEFORMAT,
        X_RESOLUTION,
        TiffImageFile,
    )

    with _bombs_refused(path), Image.open(path, formats=("PNG", "TIFF")) as picture:
        pages = getattr(picture, "n_frames", 1)
        if pages > 1:
            raise InputError(
                f"{path}: holds {pages} pages; save each as its own picture, or the stack as"
                " .nii or .npy"
            )
        tags = picture.tag_v2 if isinstance(picture, TiffImageFile) else {}
        signed = tags.get(SAMPLEFORMAT, (1,))[0] == SIGNED
        # Pillow takes 8 signed bits for unsigned ones, and puts 16 of them into 32.
        short = signed and picture.mode == "I" and tags.get(BITSPERSAMPLE) == (16,)
        if picture.mode != "L" and not picture.mode.startswith("I;16") and not short:
            raise InputError(
                f"{path}: not 8 or 16-bit greyscale (its mode is {picture.mode}); convert it to"
                " greyscale first"
            )
        if tags.get(PHOTOMETRIC_INTERPRETATION) == 0:
            raise InputError(
                f"{path}: stores white as zero; save it with black as zero (MinIsBlack)"
            )
        require_substance(str(path), 4 * math.prod(picture.size), path.stat().st_size)
        require_memory(str(path), picture.size, scale)
        with native_messages():
            values = np.asarray(picture)
        if signed:
            values = values.astype(np.int16) if short else values.view(f"i{values.itemsize}")
        scan = from_array(values, path=path, scale=scale)
        # Pillow makes one up for a TIFF file without any.
        known = picture.format != "TIFF" or X_RESOLUTION in tags
        return replace(scan, density=_density(picture.info) if known else None)


def _density(info: Mapping[Any, Any]) -> tuple[float, float, str] | None:
    """As `Scan.density`; nothing of what is no density."""
    for key, unit in (("dpi", "inch"), ("resolution", "")):
        with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):
            x, y = (float(number) for number in info[key]) if key in info else (0.0, 0.0)
            if all(0 < number < LARGEST_DENSITY for number in (x, y)):
                return x, y, unit
    return None


def _without_single_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes without axes of one element behind the fourth, and the fourth itself if it is one too.

    ANTs, SPM and nibabel write (x, y, z, 1, 1); (x, y, z, 1) stays, as that of a series.
    """
    if len(shape) <= 4 or any(size != 1 for size in shape[4:]):
        return shape
    return shape[:4] if shape[3] != 1 else shape[:3]


def _check_layout(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuses types and shapes that are not a scalar image."""
    if dtype.names is not None:
        raise InputError(f"{name}: a colour (RGB) image; convert it to greyscale first")
    if dtype.kind == "c":
        raise InputError(f"{name}: complex values; take the magnitude first")
    if dtype.kind not in "iuf":
        raise InputError(f"{name}: values of type {dtype}; convert them to numbers first")
    if len(shape) not in (2, 3, 4):
        vectors = "; it holds several numbers in each voxel (vectors): extract one of them"
        one = vectors * (len(shape) > 4)
        raise InputError(f"{name}: {len(shape)}-D{one or '; give a 2-D, 3-D or 4-D image'}")
    if min(shape) < 1:
        raise InputError(f"{name}: no voxels (its size is {shape}); export it again")


def _exact_type(stored: np.ndarray, slope: float, inter: float) -> np.dtype[Any]:
    """float32, but for whole numbers that it would round: names of an atlas, such as 614454277."""
    wide = stored.dtype.kind in "iu" and stored.dtype.itemsize > 2 and slope == 1 and inter == 0
    beyond = wide and stored.size and max(-int(stored.min()), int(stored.max())) > FLOAT32_WHOLE
    return np.dtype(np.float64 if beyond else np.float32)


def _real_world(
    stored: np.ndarray, slope: float, inter: float, dtype: np.dtype[Any] = FLOAT32
) -> np.ndarray:
    """A float32 copy with the scaling applied; what does not fit becomes Inf."""
    with np.errstate(over="ignore", invalid="ignore"):
        if slope != 1 or inter != 0:
            stored = stored.astype(np.float64) * slope + inter
        return np.array(stored, dtype=dtype)


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
