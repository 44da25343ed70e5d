"""NRRD headers (`.nrrd`, `.nhdr`), as https://teem.sourceforge.net/nrrd/format.html defines them.

Our own and not pynrrd's (1.1.3): that one truncates a size of 3.7 to 3, does not parse the
"(1, 0, 0)" that the format allows, opens whatever path the header names, and decompresses without
regard to the sizes, all of it in memory at once. The ten fields of an image are little text.

What the NRRD does not say is not guessed: a space that is not anatomical is refused, and an array
without any geometry stays one. Spacings without directions lie along L, P and S, as ITK has it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from iconet.errors import InputError
from iconet.images.scan import Scan
from iconet.images.text_headers import segments
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
from iconet.images.units import millimetres, seconds

MAGIC = re.compile(r"NRRD000[1-5]")
TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
NUMPY_TYPES = {alias: code for code, names in TYPES.items() for alias in names.split("|")}
SPACES = ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior")
LPS = ("left", "posterior", "superior")
VOLUME_KINDS = ("list", "time", "vector", "domain", "space", "none", "???")
DIFFUSION = re.compile(r"modality|DWMRI_[A-Za-z0-9_-]+")


def read_nrrd_header(path: Path) -> Layout:
    """What a NRRD file says about its voxels.

    Args:
        path: A regular file.

    Raises:
        InputError: No NRRD, or one that is not a scalar image in anatomical space.
    """
    name = str(path)
    with path.open("rb") as file:
        lines = header_lines(name, file)
        start = file.tell()
    if not lines or not MAGIC.fullmatch(lines[0].rstrip()):
        raise InputError(f"{name}: not a NRRD file, or cut off; export it as NRRD again")
    fields, pairs = _fields(name, lines[1:])
    shape, kinds = _axes(name, fields)
    affine, volumes, step = _geometry(name, fields, shape, kinds)
    data, start, skip, compressed = _voxels(path, fields, start)
    return Layout(
        shape,
        _dtype(name, fields),
        affine,
        data,
        start=start,
        skip=skip,
        compressed=compressed,
        volumes=volumes,
        step=step,
        keywords=_kept(name, fields, pairs),
    )


def _axes(name: str, fields: dict[str, str]) -> tuple[tuple[int, ...], list[str]]:
    """Size and kind of every axis."""
    shape = whole_numbers(name, "sizes", _required(name, fields, "sizes"))
    if whole_numbers(name, "dimension", _required(name, fields, "dimension")) != (len(shape),):
        raise InputError(f"{name}: its dimension and its sizes disagree; correct the header")
    kinds = fields.get("kinds", "").lower().split() or ["???"] * len(shape)
    if len(kinds) != len(shape):
        raise InputError(f"{name}: its kinds and its sizes disagree; correct the header")
    if any(kind.startswith(("rgb", "hsv", "xyz")) for kind in kinds):
        raise InputError(f"{name}: a colour image; convert it to greyscale first")
    return shape, kinds


def _voxels(path: Path, fields: dict[str, str], start: int) -> tuple[Path, int, int, bool]:
    """File, start, skip and compression of the voxels, as `Layout` has them."""
    name = str(path)
    encoding = _required(name, fields, "encoding").lower()
    if encoding not in ("raw", "gz", "gzip"):
        raise InputError(
            f"{name}: its voxels are encoded in an unsupported way; save it with the encoding raw"
            " or gzip"
        )
    compressed = encoding != "raw"
    skip = whole_numbers(name, "byte skip", fields.get("byte skip", "0"))[0]
    lines = whole_numbers(name, "line skip", fields.get("line skip", "0"))[0]
    if lines or skip < -1 or (skip == -1 and compressed):
        raise InputError(f"{name}: it skips lines or bytes; save it as one .nrrd file")
    data = path
    if "data file" in fields:
        data, start = data_file(path, fields["data file"]), 0
    if compressed:
        return data, start, skip, True
    return data, -1 if skip == -1 else start + skip, 0, False


def nrrd_header(
    scan: Scan, dtype: np.dtype, keywords: Mapping[str, str], data: str | None
) -> bytes:
    """The header of a NRRD file, to be followed by its voxels unless they are in a file `data`.

    Args:
        scan: Grid and place.
        dtype: Of the voxels; little-endian.
        keywords: As `Layout.keywords`.
        data: Name of the file of raw voxels; None: a gzip stream of them follows.
    """
    place = placement(scan)
    spatial = min(len(place.sizes), 3)
    series = len(place.sizes) - spatial
    names = {"f4": "float", "f8": "double"}
    code = dtype.str[1:]
    lines = [
        "NRRD0004",
        f"type: {names.get(code, dtype.name)}",
        f"dimension: {len(place.sizes)}",
    ]
    if place.axes is not None:
        lines.append("space: left-posterior-superior" if spatial == 3 else "space dimension: 2")
    lines.append("sizes: " + " ".join(map(str, place.sizes)))
    if place.axes is not None:
        lines.append(
            "space directions: " + " ".join([*map(_vector, place.axes), *["none"] * series])
        )
        if place.step:
            lines.append("spacings: " + " ".join(["nan"] * spatial + [decimal(place.step)]))
        lines.append("kinds: " + " ".join(["domain"] * spatial + ["list"] * series))
    lines.append("endian: little")
    lines.append("encoding: " + ("gzip" if data is None else "raw"))
    if place.axes is not None:
        lines.append("space units: " + " ".join(['"mm"'] * spatial))
        lines.append("space origin: " + _vector(place.origin))
        if spatial == 3 and "measurement frame" in keywords:
            lines.append("measurement frame: " + keywords["measurement frame"])
    if data is not None:
        lines.append(f"data file: {data}")
    lines += [f"{key}:={text}" for key, text in keywords.items() if _stays_true(key)]
    if scan.mark is not None:
        lines.append(f"iconet:={scan.mark}")
    text = "\n".join(lines) + "\n" + ("\n" if data is None else "")
    return os.fsencode(text)


def _fields(name: str, lines: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in lines:
        if line.startswith("#"):
            continue
        key, separator, text = line.partition(":")
        if not separator:
            raise InputError(f"{name}: its header has a line without a field; correct the header")
        if text.startswith("="):
            pairs[key] = text[1:]
            continue
        key = " ".join(key.lower().split())
        key = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}.get(
            key, key
        )
        if key in fields:
            raise InputError(f"{name}: its header has a field twice; correct the header")
        fields[key] = text.strip()
    return fields, pairs


def _required(name: str, fields: dict[str, str], key: str) -> str:
    if not fields.get(key):
        raise InputError(f"{name}: its header has no {key}; export it again")
    return fields[key]


def _dtype(name: str, fields: dict[str, str]) -> np.dtype:
    code = NUMPY_TYPES.get(" ".join(_required(name, fields, "type").lower().split()))
    if code is None:
        raise InputError(f"{name}: its type is not a number; convert it to numbers first")
    if code[1] == "1":
        return np.dtype(code)
    order = {"little": "<", "big": ">"}.get(_required(name, fields, "endian").lower())
    if order is None:
        raise InputError(f"{name}: its endian is neither little nor big; correct the header")
    return np.dtype(order + code)


def _geometry(
    name: str, fields: dict[str, str], shape: tuple[int, ...], kinds: list[str]
) -> tuple[np.ndarray | None, int | None, float]:
    """Affine, the axis of the volumes, and seconds between these."""
    spacings = None
    if "spacings" in fields:
        spacings = numbers(name, "spacings", fields["spacings"], len(shape))
    space = fields.get("space", "").lower()
    if "space directions" not in fields:
        if space or "space dimension" in fields:
            raise InputError(f"{name}: its space has no space directions; export it again")
        return _spacings_only(name, spacings, fields, shape, kinds)

    signs: tuple[int, ...]
    if space:
        signs = _signs(name, space)
    elif fields.get("space dimension") in ("2", "4"):
        # NRRD has no names for these; ITK writes them so, and means left, posterior, then time.
        signs = (1,) * int(fields["space dimension"])
    else:
        raise InputError(
            f"{name}: its space is not anatomical; add the line 'space: left-posterior-superior' if"
            " that is true"
        )
    axes = _vectors(name, "space directions", fields["space directions"])
    if len(axes) != len(shape):
        raise InputError(f"{name}: its space directions and its sizes disagree; correct the header")
    origin_text = fields.get("space origin")
    origin = _vectors(name, "space origin", origin_text)[0] if origin_text else np.zeros(len(signs))
    if origin is None or any(
        len(vector) != len(signs) for vector in (*axes, origin) if vector is not None
    ):
        raise InputError(f"{name}: its vectors do not have its space's length; correct the header")

    scale = _lengths(name, fields.get("space units"), signs)
    spatial, others, step = [], [], 0.0
    for index, vector in enumerate(axes):
        if vector is None:
            others.append(index)
            if spacings is not None and np.isfinite(spacings[index]) and spacings[index] > 0:
                step = float(spacings[index] * _axis_units(name, fields, len(axes), [index])[index])
        elif len(signs) == 4 and not vector[:3].any():
            others.append(index)
            step = float(abs(vector[3] * scale[3])) if np.isfinite(vector[3]) else 0.0
        elif len(signs) == 4 and vector[3]:
            raise InputError(f"{name}: an axis mixes space and time; resample the series")
        else:
            spatial.append(vector[:3] * signs[:3] * scale[:3])
    volumes = _volumes(name, others, shape, kinds)
    return affine_of(name, spatial, origin[:3] * signs[:3] * scale[:3]), volumes, step


def _lengths(name: str, text: str | None, signs: tuple[int, ...]) -> np.ndarray:
    """Millimetres in one unit along every axis of the space, and seconds in one of a fourth."""
    if text is None:
        return np.ones(len(signs))
    units = _quoted(text)
    if len(units) != len(signs):
        raise InputError(f"{name}: its space units and its space disagree; correct the header")
    return np.array([_unit(name, unit, time=index == 3) for index, unit in enumerate(units)])


def _axis_units(name: str, fields: dict[str, str], count: int, others: list[int]) -> np.ndarray:
    """Millimetres in one unit of every axis, and seconds in one of the `others`."""
    if "units" not in fields:
        return np.ones(count)
    units = _quoted(fields["units"])
    if len(units) != count:
        raise InputError(f"{name}: its units and its sizes disagree; correct the header")
    return np.array([_unit(name, unit, time=index in others) for index, unit in enumerate(units)])


def _unit(name: str, unit: str, *, time: bool) -> float:
    if time:  # or of anything else that volumes differ in
        return seconds(unit) or 0.0
    size = millimetres(unit)
    if size is None:
        raise InputError(f"{name}: one of its units is not a length (mm, um); correct the header")
    return size


def _quoted(text: str) -> list[str]:
    """Words in quotation marks, in which some programs leave them out."""
    return [inside or bare for inside, bare in re.findall(r'"([^"]*)"|([^\s"]+)', text)]


def _spacings_only(
    name: str,
    spacings: np.ndarray | None,
    fields: dict[str, str],
    shape: tuple[int, ...],
    kinds: list[str],
) -> tuple[np.ndarray | None, int | None, float]:
    others = [index for index, kind in enumerate(kinds) if kind in ("list", "time", "vector")]
    if not others and len(shape) == 4:
        others = [3]
    volumes = _volumes(name, others, shape, kinds)
    steps = np.full(len(shape), np.nan) if spacings is None else spacings
    steps = steps * _axis_units(name, fields, len(shape), others)
    known = [steps[index] for index in range(len(shape)) if index not in others]
    if np.isnan(known).all():
        return None, volumes, 0.0
    if not (np.isfinite(known) & (np.array(known) > 0)).all():
        raise InputError(f"{name}: its spacings must be positive; correct the header")
    affine = affine_of(name, list(np.diag(known)), np.zeros(len(known)))
    step = 0.0 if volumes is None else float(steps[volumes])
    return affine, volumes, step if np.isfinite(step) and step > 0 else 0.0


def _volumes(name: str, others: list[int], shape: tuple[int, ...], kinds: list[str]) -> int | None:
    if not others:
        return None
    if len(others) > 1 or (kinds[others[0]] not in VOLUME_KINDS and shape[others[0]] > 1):
        raise InputError(
            f"{name}: each voxel holds several numbers that are not a series; extract one of them"
        )
    return others[0]


def _signs(name: str, space: str) -> tuple[int, ...]:
    """What turns vectors in an anatomical space into LPS, and leaves time as it is."""
    time = space.endswith("-time") or (len(space) == 4 and space.endswith("t"))
    base = space.removesuffix("-time") if "-" in space else space[:3]
    for full in SPACES:
        words = full.split("-")
        if base in (full, "".join(word[0] for word in words)) and (base == space or time):
            return (*(1 if word in LPS else -1 for word in words), *[1] * time)
    raise InputError(
        f"{name}: its space is not anatomical; add the line 'space: left-posterior-superior' if"
        " that is true"
    )


def _vectors(name: str, key: str, text: str) -> list[np.ndarray | None]:
    """Vectors such as "(1,0,0) (0, 1, 0) none"."""
    found: list[np.ndarray | None] = []
    rest = text
    while rest := rest.strip():
        if rest.lower().startswith("none"):
            found.append(None)
            rest = rest[4:]
            continue
        inside, closed, after = rest[1:].partition(")")
        if not rest.startswith("(") or not closed or len(found) > 16:
            raise InputError(f"{name}: its {key} must be vectors; correct the header")
        found.append(numbers(name, key, inside.replace(",", " ")))
        rest = after
    if not found:
        raise InputError(f"{name}: its {key} must be vectors; correct the header")
    return found


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(map(decimal, values)) + ")"


def _stays_true(key: str) -> bool:
    return bool(DIFFUSION.fullmatch(key) or segments.KEYS.fullmatch(key))


def _kept(name: str, fields: dict[str, str], pairs: dict[str, str]) -> dict[str, str]:
    """What stays true on another grid: b-values and gradients with their frame in LPS; segments."""
    kept = {key: text for key, text in pairs.items() if _stays_true(key)}
    if any(DIFFUSION.fullmatch(key) for key in kept) and fields.get("measurement frame"):
        signs = np.array(_signs(name, fields.get("space", "").lower())[:3])
        frame = _vectors(name, "measurement frame", fields["measurement frame"])
        if len(frame) != 3 or any(vector is None or len(vector) != 3 for vector in frame):
            raise InputError(f"{name}: its measurement frame must be 3 vectors; correct the header")
        kept["measurement frame"] = " ".join(_vector(v * signs) for v in frame if v is not None)
    return kept
