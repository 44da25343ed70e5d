"""MetaImage headers (`.mha`, `.mhd`), as ITK reads and writes them.

Our own and not SimpleITK's: that is 264 MB installed, for a dozen lines of text, loads a volume
whole and in its own type before anything can be refused, and opens whatever path the header names.
The tests hold this module to SimpleITK's reading and writing of the same files.

`TransformMatrix` lists the direction of each voxel axis in turn; `Offset` is the centre of the
first voxel; both in LPS+. `CenterOfRotation` moves nothing and `AnatomicalOrientation` only names
what the matrix says.
"""

import os
from pathlib import Path

import numpy as np

from iconet.errors import InputError
from iconet.images.scan import Scan
from iconet.images.text_headers.layout import (
    Layout,
    affine_of,
    data_file,
    decimal,
    header_lines,
    numbers,
    placement,
    whole_numbers,
)
from iconet.images.units import millimetres

# MET_LONG has 4 bytes, whatever a C compiler thinks.
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
NAMES = {code: name for name, code in reversed(TYPES.items())}
DIRECTIONS = ("TransformMatrix", "Rotation", "Orientation")
ORIGINS = ("Offset", "Origin", "Position")


def read_metaimage_header(path: Path) -> Layout:
    """What a MetaImage says about its voxels.

    Args:
        path: A regular file.

    Raises:
        InputError: No MetaImage, or one that is not a scalar image with a spacing.
    """
    name = str(path)
    with path.open("rb") as file:
        lines = header_lines(name, file, last="ElementDataFile")
        start = file.tell()
    fields = _fields(name, lines)
    shape = whole_numbers(name, "DimSize", fields["DimSize"])
    if whole_numbers(name, "NDims", fields["NDims"]) != (len(shape),):
        raise InputError(f"{name}: its NDims and its DimSize disagree; correct the header")
    if len(shape) not in (2, 3, 4):
        raise InputError(f"{name}: {len(shape)}-D; give a 2-D, 3-D or 4-D image")
    affine, step = _geometry(name, fields, len(shape))
    code = TYPES.get(fields["ElementType"])
    if code is None:
        raise InputError(f"{name}: its ElementType is not a number; convert it to numbers first")
    order = ">" if _flag(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    compressed = _flag(fields, "CompressedData")
    named = fields["ElementDataFile"]
    data = path
    if named not in ("LOCAL", "Local", "local"):
        data, start = data_file(path, named), 0
    skip = whole_numbers(name, "HeaderSize", fields.get("HeaderSize", "0"))[0]
    if skip < -1 or (skip and (compressed or data is path)):
        raise InputError(f"{name}: its HeaderSize does not fit; save it as one .mha file")
    return Layout(
        shape,
        np.dtype(order + code),
        affine,
        data,
        start=skip if skip else start,
        compressed=compressed,
        volumes=3 if len(shape) == 4 else None,
        step=step,
    )


def metaimage_header(scan: Scan, dtype: np.dtype, data: str | None) -> bytes:
    """The header of a MetaImage, to be followed by its voxels unless they are in a file `data`.

    Args:
        scan: Grid and place; it has an affine.
        dtype: Of the voxels; little-endian.
        data: Name of the file of voxels; None: they follow.
    """
    place = placement(scan)
    if place.axes is None:
        raise InputError(f"{scan.name}: has no geometry, which MetaImage needs; write .npy")
    count = len(place.sizes)
    spatial = len(place.axes)
    spacing = np.ones(count)
    spacing[:spatial] = np.linalg.norm(place.axes, axis=1)
    directions = np.eye(count)
    directions[:spatial, :spatial] = place.axes / spacing[:spatial, None]
    if place.step:
        spacing[3] = place.step
    origin = np.zeros(count)
    origin[:spatial] = place.origin
    lines = [
        "ObjectType = Image",
        *([] if scan.mark is None else [f"Comment = {scan.mark}"]),
        f"NDims = {count}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        "TransformMatrix = " + " ".join(map(decimal, directions.ravel())),
        "Offset = " + " ".join(map(decimal, origin)),
        "CenterOfRotation = " + " ".join(["0"] * count),
        "ElementSpacing = " + " ".join(map(decimal, spacing)),
        "DimSize = " + " ".join(map(str, place.sizes)),
        f"ElementType = {NAMES[dtype.str[1:]]}",
        f"ElementDataFile = {data or 'LOCAL'}",
    ]
    return os.fsencode("\n".join(lines) + "\n")


def _fields(name: str, lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        key, separator, text = line.partition("=")
        key = key.strip()
        if not separator and key:
            raise InputError(f"{name}: not a MetaImage, or cut off; export it again")
        if key in fields:
            raise InputError(f"{name}: its header has a field twice; correct the header")
        if key:
            fields[key] = text.strip()
    for key in ("NDims", "DimSize", "ElementType", "ElementDataFile"):
        if not fields.get(key):
            raise InputError(f"{name}: not a MetaImage: it has no {key}; export it again")
    if fields.get("ObjectType", "Image") != "Image":
        raise InputError(f"{name}: not an image; give a MetaImage of ObjectType Image")
    if fields.get("BinaryData", "True").lower() not in ("true", "1", "t"):
        raise InputError(f"{name}: its voxels are written as text; save it with BinaryData = True")
    if fields.get("ElementNumberOfChannels", "1") != "1" or "_ARRAY" in fields["ElementType"]:
        raise InputError(
            f"{name}: several numbers in each voxel (a colour or vector image); convert it to"
            " greyscale, or a series to 4-D, first"
        )
    # Readers disagree on whether these are applied.
    slope = fields.get("ElementToIntensityFunctionSlope", "1")
    inter = fields.get("ElementToIntensityFunctionOffset", "0")
    if (
        numbers(name, "ElementToIntensityFunctionSlope", slope, 1)[0] != 1
        or numbers(name, "ElementToIntensityFunctionOffset", inter, 1)[0] != 0
    ):
        raise InputError(
            f"{name}: has an ElementToIntensityFunction; save the values themselves instead"
        )
    return fields


def _flag(fields: dict[str, str], *keys: str) -> bool:
    return any(fields.get(key, "").lower() in ("true", "1", "t") for key in keys)


def _geometry(name: str, fields: dict[str, str], count: int) -> tuple[np.ndarray, float]:
    """Affine, and seconds between the volumes of a series."""
    key = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    if key not in fields:
        raise InputError(f"{name}: has no ElementSpacing; add its spacing in mm to the header")
    spacing = numbers(name, key, fields[key], count)
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        raise InputError(f"{name}: its {key} must be positive; correct the header")
    directions, origin = np.eye(count), np.zeros(count)
    for key in DIRECTIONS:
        if key in fields:
            directions = numbers(name, key, fields[key], count**2).reshape(count, count)
    for key in ORIGINS:
        if key in fields:
            origin = numbers(name, key, fields[key], count)
    if count == 4:
        if directions[3, :3].any() or directions[:3, 3].any():
            raise InputError(f"{name}: an axis mixes space and time; resample the series")
        directions, origin = directions[:3, :3], origin[:3]
    unit = millimetres(fields.get("DistanceUnits", ""))
    if unit is None:
        raise InputError(f"{name}: its DistanceUnits is not a length (mm, um); correct the header")
    axes, origin = directions * spacing[: len(directions), None] * unit, origin * unit
    return affine_of(name, list(axes), origin), float(spacing[3]) if count == 4 else 0.0
