"""Writes a scan completely or not at all, in the encoding of the scan it was made from.

The output's suffix decides on its format, whatever that of the input. Two things go beside it: the
voxels of a detached header, and the b-values and directions (`.bval`, `.bvec`) that lie beside a
NIfTI series. Directions are along the voxel axes, which stay, so they are copied as they are.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from iconet.errors import InputError
from iconet.files import complete_file, write_errors
from iconet.images.geometry import updated_header
from iconet.images.mgh import SUFFIXES as MGH
from iconet.images.mgh import around_voxels, mgh_type
from iconet.images.own import describe
from iconet.images.reading import NIFTI, NRRD, PAIR, stem_of, suffix_of
from iconet.images.scan import Scan
from iconet.images.text_headers.layout import DETACHED, as_nifti1, raw_name, stored_type
from iconet.images.text_headers.layout import SUFFIXES as TEXT_HEADED
from iconet.images.text_headers.segments import has_segments, on_grid_of

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header, Nifti1Image

COMPRESSION = 1
"""ISA-L's. On an upscaled brain of 79 MB in int16: 0.5 s and 36.7 MB; zlib's 1: 1.5 s, 35.0 MB."""


def check_output(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] = (),
    *,
    like: Scan | None = None,
) -> None:
    """Refuses an output that `write` could not write, before any time is spent on computing it.

    Args:
        path: The file to be written; an existing one will be replaced.
        inputs: Files that must not be overwritten; links to them count as them.
        like: The scan that the output will be made from, if already read.

    Raises:
        InputError: An unknown or unfitting kind of file, one of the inputs, or no place to write.
    """
    path = Path(path)
    if suffix_of(path) in PAIR:
        raise InputError(f"{path}: would be two files; write .nii, the same format in one file")
    sources = [*inputs]
    outputs = [path]
    if like is not None:
        sources += [source for source in (like.path, like.data_path) if source is not None]
        _check_kind(path, like)
    if path.suffix.lower() in DETACHED:
        outputs.append(raw_name(path))
    for output in outputs:
        for source in sources:
            with contextlib.suppress(OSError):
                if output.samefile(source):
                    raise InputError(
                        f"{path}: the output is the input {source}; choose another output name"
                        if output == path
                        else f"{path}: its voxels would replace the input {source}; choose another"
                        " output name"
                    )
    _check_beside(path, like)
    with write_errors(path), complete_file(path, keep=False):
        pass


def write(scan: Scan, path: str | os.PathLike[str], *, like: Scan) -> None:
    """Writes `scan` the way `like`, the scan it was made from, was stored.

    Floating-point inputs become float32 without scaling; NIfTI holds complex values too. Integer
    inputs keep their type, slope and intercept: values are rounded to the nearest storable one and
    saturated. NIfTI keeps all that `updated_header` keeps. Other formats hold no slope: they hold
    float32 where `like` has one.
    FreeSurfer's has few types: others become the next larger one.
    `.nhdr` and `.mhd` get their voxels in a `.raw` file beside them; `.nrrd` is compressed.

    Args:
        scan: The values and the affine to write.
        path: `.nii`, `.nii.gz`, `.nrrd`, `.nhdr`, `.mha`, `.mhd`, `.mgz`, `.mgh`, `.npy`, `.png`,
            `.tif` or `.tiff`; replaced at once when complete.
        like: Header and encoding; its files are never overwritten. Where it is a NIfTI series
            with `.bval` and `.bvec` files beside it, these are copied beside `path`.

    Raises:
        InputError: `path` cannot be written, or cannot hold such an image. No file is left then.
    """
    path = Path(path)
    check_output(path, like=like)
    suffix = suffix_of(path)
    plain = replace(scan, dtype=like.dtype, slope=like.slope, inter=like.inter)
    with write_errors(path), complete_file(path) as file:
        if suffix == ".nii.gz":
            with _compressed(file) as stream:
                _write_nifti(scan, stream, like)
        elif suffix == ".nii":
            _write_nifti(scan, file, like)
        elif suffix in TEXT_HEADED:
            _write_behind_text(scan, path, file, like)
        elif suffix == ".mgz":
            with _compressed(file) as stream:
                _write_mgh(scan, stream, like)
        elif suffix == ".mgh":
            _write_mgh(scan, file, like)
        elif suffix == ".npy":
            _write_npy(to_array(plain), file)
        else:
            _write_picture(to_array(plain), file, scan, png=suffix == ".png")
        # Inside: without its gradients the series is not complete.
        for source, target in _gradients(path, like):
            with source.open("rb") as given, write_errors(target), complete_file(target) as copy:
                shutil.copyfileobj(given, copy)


def to_nibabel(scan: Scan) -> "Nifti1Image":
    """A scan as an image of nibabel.

    Returns:
        A NIfTI-1 image (NIfTI-2 if the scan's header is); integers if the scan was stored as
        integers without scaling, else float32.

    Raises:
        InputError: The scan has no geometry.
    """
    import nibabel

    data = to_array(scan)
    header = _derived_header(scan, scan)
    header.set_data_dtype(data.dtype)
    nifti2 = isinstance(header, nibabel.Nifti2Header)
    kind = nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image
    return kind(data, header.get_best_affine(), header)


def to_array(scan: Scan) -> np.ndarray:
    """The values as integers if they were stored as integers without scaling, else as float32."""
    if scan.dtype.kind in "iu" and scan.slope == 1 and scan.inter == 0:
        dtype = scan.dtype.newbyteorder("=")
        stored = np.empty_like(scan.array, dtype=dtype)
        for index in range(stored.shape[-1]):  # rounding takes float64 copies: of a slab only
            stored[..., index] = _stored(scan.array[..., index], dtype, scan)
        return stored
    return scan.array


def _check_kind(path: Path, like: Scan) -> None:
    suffix = suffix_of(path)
    if like.keywords and suffix not in (*NRRD, ".npy"):
        names = has_segments(like.keywords)
        what, better = (
            ("names of the segments", ".seg.nrrd") if names else ("diffusion gradients", ".nrrd")
        )
        raise InputError(
            f"{path}: would lose the {what} in the header of {like.name}; write {better}"
        )
    if suffix in NRRD and like.header is None:
        return  # a NRRD without a space is an array, and read as one
    if suffix in (*NIFTI, *TEXT_HEADED, *MGH):
        if like.header is None:
            kind = "NIfTI" if suffix in NIFTI else "FreeSurfer" if suffix in MGH else "MetaImage"
            raise InputError(
                f"{path}: {like.name} has no spacing and position, which {kind} needs; write .npy"
                " or the input's own format"
            )
    elif suffix != ".npy":
        if like.header is not None:
            raise InputError(
                f"{path}: a picture cannot hold the geometry of {like.name}; write .nii.gz"
            )
        if like.array.ndim != 2:
            raise InputError(
                f"{path}: a picture cannot hold the {like.array.ndim}-D {like.name}; write .npy"
            )
        kinds = "u" if suffix == ".png" else "iu"
        if like.dtype.kind not in kinds or like.dtype.itemsize > 2:
            which = "8 or 16-bit unsigned" if suffix == ".png" else "8 or 16-bit"
            raise InputError(
                f"{path}: a picture holds {which} integers and {like.name} has {like.dtype}; write"
                " .npy"
            )


def _write_nifti(scan: Scan, stream: BinaryIO, like: Scan) -> None:
    header = _derived_header(scan, like)
    integers = like.dtype.kind in "iu"
    real = np.complex64 if scan.array.dtype.kind == "c" else np.float32
    header.set_data_dtype(like.dtype if integers else real)
    header.set_slope_inter(*((like.slope, like.inter) if integers else (1, 0)))
    dtype = header.get_data_dtype()  # in the header's byte order
    header["vox_offset"] = 0  # unset: write_to puts the voxels right behind the extensions
    header.write_to(stream)
    _write_voxels(scan, stream, dtype, like)


def _write_picture(array: np.ndarray, file: BinaryIO, scan: Scan, *, png: bool) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo
    from PIL.TiffImagePlugin import (
        RESOLUTION_UNIT,
        SAMPLEFORMAT,
        SOFTWARE,
        X_RESOLUTION,
        Y_RESOLUTION,
    )

    # Pillow has no signed 8 or 16 bits: they are in a tag, and the bits the same.
    tags: dict[int, Any] = {SAMPLEFORMAT: 2} if array.dtype.kind == "i" else {}
    options: dict[str, Any] = {}
    if scan.density is not None:
        x, y, unit = scan.density
        if unit:
            options["dpi"] = (x, y)
        else:
            tags |= {X_RESOLUTION: x, Y_RESOLUTION: y, RESOLUTION_UNIT: 1}
    said = PngInfo()
    if scan.mark is not None:
        tags[SOFTWARE] = scan.mark
        said.add_text("Software", scan.mark)
    picture = Image.fromarray(array.view(f"u{array.itemsize}"))
    if png:
        picture.save(file, format="PNG", pnginfo=said, **options)
    else:
        picture.save(file, format="TIFF", tiffinfo=tags, **options)


def _write_mgh(scan: Scan, stream: BinaryIO, like: Scan) -> None:
    dtype = mgh_type(like)
    # The time between volumes is in the header of `like`, should the caller have dropped it.
    before, behind = around_voxels(replace(scan, header=like.header), dtype)
    stream.write(before)
    _write_voxels(scan, stream, dtype, like)
    stream.write(behind)


def _write_behind_text(scan: Scan, path: Path, stream: BinaryIO, like: Scan) -> None:
    from iconet.images.text_headers.metaimage import metaimage_header
    from iconet.images.text_headers.nrrd import nrrd_header

    dtype = stored_type(like)
    raw = raw_name(path) if path.suffix.lower() in DETACHED else None
    name = None if raw is None else raw.name
    nrrd = path.suffix.lower() in NRRD
    # The time between volumes is in the header of `like`, should the caller have dropped it.
    placed = replace(scan, header=like.header)
    stream.write(
        nrrd_header(placed, dtype, on_grid_of(scan, like), name)
        if nrrd
        else metaimage_header(placed, dtype, name)
    )
    if raw is not None:
        with write_errors(raw), complete_file(raw) as voxels:
            _write_voxels(scan, voxels, dtype, like)
    elif nrrd:
        with _compressed(stream) as deflated:
            _write_voxels(scan, deflated, dtype, like)
    else:
        _write_voxels(scan, stream, dtype, like)


def _write_voxels(scan: Scan, stream: BinaryIO, dtype: np.dtype[Any], like: Scan) -> None:
    # Slab by slab along the slowest axis, so that no second copy of the volume is made.
    for index in range(scan.array.shape[-1]):
        slab = scan.array[..., index]
        stored = _stored(slab, dtype, like) if dtype.kind in "iu" else slab.astype(dtype)
        stream.write(stored.tobytes(order="F"))


@contextlib.contextmanager
def _compressed(file: BinaryIO) -> Iterator[BinaryIO]:
    """One gzip member, the same for the same voxels."""
    from isal import igzip

    with igzip.IGzipFile("", "wb", COMPRESSION, file, mtime=0) as stream:
        yield cast(BinaryIO, stream)


def _gradients(path: Path, like: Scan) -> list[tuple[Path, Path]]:
    """The files beside a NIfTI series that are to be copied beside `path`, with their new names."""
    if like.path is None or like.array.ndim != 4 or not like.path.name.lower().endswith(NIFTI):
        return []
    pairs = []
    for suffix in (".bval", ".bvec"):
        source = like.path.with_name(stem_of(like.path) + suffix)
        target = path.with_name(stem_of(path) + suffix)
        if source.is_file() and not (target.exists() and target.samefile(source)):
            pairs.append((source, target))
    return pairs


def _check_beside(path: Path, like: Scan | None) -> None:
    """Refuses to replace files beside `path` that do not belong to an earlier output there."""
    beside = [] if like is None else [target for _, target in _gradients(path, like)]
    others: list[Path] = []
    if path.suffix.lower() in DETACHED:
        raw = raw_name(path)
        beside.append(raw)
        others = [raw.with_suffix(suffix) for suffix in DETACHED if suffix != path.suffix.lower()]
    for target in beside:
        shared = target.suffix == ".raw" and any(other.exists() for other in others)
        if target.exists() and (shared or not path.exists()):
            raise InputError(
                f"{path}: {target.name} beside it would be replaced and belongs to something else;"
                " choose another output name"
            )


def _write_npy(array: np.ndarray, stream: BinaryIO) -> None:
    # Not numpy.save: it bypasses the stream, and its error on a full disk does not say so.
    layout = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(stream, layout)
    stream.write(np.ravel(array, order="A").data)


def _derived_header(scan: Scan, like: Scan) -> "Nifti1Header":
    if like.header is None or scan.affine is None:
        raise InputError(f"{like.name}: has no geometry, which NIfTI needs; keep it as an array")
    header = updated_header(like.header, scan.affine, scan.array.shape)
    if scan.mark is not None:
        describe(header, scan.mark)
    ours = like.path is not None and like.path.name.lower().endswith((*TEXT_HEADED, *MGH))
    return as_nifti1(header) if ours else header


def _stored(values: np.ndarray, dtype: np.dtype[Any], like: Scan) -> np.ndarray:
    """Real-world values as the nearest integers that `like` could have stored for them."""
    limits = np.iinfo(dtype)
    if dtype.itemsize <= 2 and like.slope == 1 and like.inter == 0:
        if values.dtype == dtype.newbyteorder("="):
            return values.astype(dtype)
        # float32 holds all of these integers, and rounding and saturation are the same there.
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    stored = np.rint((values.astype(np.float64) - like.inter) / like.slope)
    # float64 cannot hold the largest 64-bit integers: the next one below converts safely.
    largest = float(limits.max)
    if int(largest) > limits.max:
        largest = np.nextafter(largest, 0.0)
    return np.clip(stored, limits.min, largest).astype(dtype)
