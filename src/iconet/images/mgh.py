"""FreeSurfer's volumes (`.mgh`, `.mgz`): what their header says, and how they are written.

nibabel knows the fields; the voxels are streamed like those of the other formats. The affine is in
single precision. A repetition time is kept, other tags behind the voxels describe FreeSurfer's own
processing and go.
"""

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from iconet.errors import InputError
from iconet.images.geometry import check_affine
from iconet.images.scan import Scan
from iconet.images.text_headers.layout import Layout, placement, seconds_between

SUFFIXES = (".mgz", ".mgh")
HEADER, FIELDS = 284, 90  # bytes: all of the header, and its fields in use
LARGEST_TAGS = 1 << 24  # bytes behind the voxels
LARGEST_SIDE = 1 << 20
GZIP_MARK = b"\x1f\x8b"
# The types that every version of FreeSurfer has; others become the next larger one.
TYPES = {"u1": "u1", "i1": "i2", "i2": "i2", "u2": "i4", "i4": "i4"}


def read_mgh_header(path: Path) -> Layout:
    """What the header of a regular file says about its voxels.

    Raises:
        InputError: Not of FreeSurfer, or of impossible sizes or places.
    """
    from nibabel.freesurfer.mghformat import MGHHeader, data_type_codes

    name, compressed = str(path), path.suffix.lower() == ".mgz"
    with path.open("rb") as file:
        if (file.read(2) == GZIP_MARK) != compressed:
            raise InputError(
                f"{path}: not compressed; rename it to .mgh if it is of FreeSurfer"
                if compressed
                else f"{path}: compressed by gzip; rename it to .mgz"
            )
        file.seek(0)
        with gzip.GzipFile(fileobj=file) if compressed else file as opened:
            start = opened.read(HEADER)
    if len(start) < HEADER or start[:4] != b"\0\0\0\1":
        raise InputError(f"{path}: not a volume of FreeSurfer, or cut off; export it again")
    with np.errstate(all="ignore"):
        header = MGHHeader(start[:FIELDS], check=False)
        shape, code = tuple(int(size) for size in header["dims"]), int(header["type"])
        if not all(0 < size <= LARGEST_SIDE for size in shape):
            raise InputError(f"{path}: impossible sizes {shape}; export it again")
        if code not in data_type_codes.code:
            raise InputError(f"{path}: its voxels are not numbers; convert it to numbers first")
        affine = np.asarray(header.get_affine(), dtype=np.float64)
    check_affine(affine, name)
    placed = struct.unpack_from(">h", start, 28) != (0,)
    return Layout(
        shape if shape[3] > 1 else shape[:3],
        header.get_data_dtype(),
        affine,
        path,
        start=0 if compressed else HEADER,
        skip=HEADER if compressed else 0,
        compressed=compressed,
        volumes=3 if shape[3] > 1 else None,
        most_behind=LARGEST_TAGS,
        remarks=()
        if placed
        else (f"{path}: does not say where it lies: taken as coronal, as FreeSurfer does",),
    )


def repetition_time(behind: bytes) -> float:
    """Seconds, from what follows the voxels; 0 if unknown."""
    if len(behind) < 4:
        return 0.0
    (milliseconds,) = struct.unpack_from(">f", behind)
    return milliseconds / 1000 if math.isfinite(milliseconds) and milliseconds > 0 else 0.0


def mgh_type(like: Scan) -> np.dtype:
    """The type in which a volume keeps what `like` was stored in; scaled values become float32."""
    plain = like.dtype.kind in "iu" and like.slope == 1 and like.inter == 0
    return np.dtype(">" + (TYPES.get(like.dtype.str[1:], "f4") if plain else "f4"))


def around_voxels(scan: Scan, dtype: np.dtype) -> tuple[bytes, bytes]:
    """What comes before the voxels of a volume, and what behind them.

    Args:
        scan: Grid and place, and the time between volumes; it has an affine.
        dtype: Of the voxels, one of `mgh_type`.
    """
    from nibabel.freesurfer.mghformat import MGHImage

    if scan.affine is None:
        raise InputError(f"{scan.name}: has no geometry, which FreeSurfer needs; write .npy")
    sizes = placement(scan).sizes
    sizes = sizes if len(sizes) > 2 else (*sizes, 1)
    image = MGHImage(np.broadcast_to(dtype.newbyteorder("=").type(0), sizes), scan.affine)
    image.header["tr"] = 1000 * seconds_between(scan)
    fields = image.header.binaryblock
    return fields[:FIELDS].ljust(HEADER, b"\0"), fields[FIELDS:]
