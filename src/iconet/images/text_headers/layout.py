"""What a text header (NRRD, MetaImage) says about the voxels behind it.

Both formats put a few lines of text before raw or deflated voxels, count positions in LPS+
millimetres (x to the left, y to the back) where NIfTI counts in RAS+, and may name another file for
the voxels. What they share is here; what their lines mean is in `nrrd` and `metaimage`.
"""

import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from iconet.errors import InputError
from iconet.images.content import why_no_content
from iconet.images.geometry import check_affine, lps_to_ras
from iconet.images.scan import Scan
from iconet.images.units import seconds_of

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

ATTACHED, DETACHED = (".nrrd", ".mha"), (".nhdr", ".mhd")
SUFFIXES = ATTACHED + DETACHED
PADDING = 4096  # bytes after the voxels that are taken for block padding
LONGEST_HEADER = 1 << 20  # bytes; diffusion series with a thousand directions stay below 100 kB
# Millimetres by which a quaternion in float32 may misplace a corner before the header does without.
QFORM_ERROR = 1e-3
LARGEST_NIFTI1 = 32767
GZIP_MARK = b"\x1f\x8b"
GZIP, EITHER_WRAPPER = 31, 47  # of zlib: 16 + 15, 32 + 15
PACKED_AT_A_TIME = 1 << 14  # bytes; each member in them copies what is behind it


@dataclass(frozen=True)
class Layout:
    """Where the voxels are, in the file and in the world; `iconet.images.mgh` has one too.

    Attributes:
        shape: Sizes in the file's order, the fastest axis first.
        dtype: Of the stored numbers, with their byte order.
        affine: (4, 4) from the indices along the spatial axes, in the file's order, to RAS+
            millimetres; None if the header has no geometry.
        data: The file that holds the voxels.
        start: Bytes before the voxels, or before their compressed stream; -1: the voxels are the
            last bytes of the file.
        skip: Bytes before the voxels in the decompressed stream.
        compressed: Deflated, in a gzip or a zlib wrapper.
        volumes: Which axis of the file counts the volumes of a series; None for one volume.
        step: Seconds from one volume to the next; 0 if unknown.
        keywords: What else the header says that stays true when the grid changes.
        most_behind: Bytes behind the voxels that are no error.
        remarks: As `Scan.remarks`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: np.ndarray | None
    data: Path
    start: int = 0
    skip: int = 0
    compressed: bool = False
    volumes: int | None = None
    step: float = 0.0
    keywords: Mapping[str, str] = field(default_factory=dict)
    most_behind: int = PADDING
    remarks: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Sizes in the order of `Scan.array`: the spatial axes, then the volumes."""
        spatial = tuple(size for axis, size in enumerate(self.shape) if axis != self.volumes)
        return spatial if self.volumes is None else (*spatial, self.shape[self.volumes])


class Inflating:
    """The bytes of a zlib stream or of gzip members, no more of them than asked for.

    Members follow one another in files of bgzip, `pigz -i` and `cat a.gz b.gz` (RFC 1952).
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(wbits=EITHER_WRAPPER)
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end.

        Raises:
            EOFError: The file ends before the stream does.
            zlib.error: Damaged, or its checksum is wrong.
        """
        made = bytearray()
        while len(made) < size and not (self._inflate.eof and not self._next_member()):
            packed = self._inflate.unconsumed_tail or self._ahead
            packed, self._ahead = packed or self._file.read(PACKED_AT_A_TIME), b""
            part = self._inflate.decompress(packed, size - len(made))
            if not packed and not part:
                raise EOFError("the compressed voxels end too early")
            made += part
        return bytes(made)

    def _next_member(self) -> bool:
        """Go on behind a member that has ended; whether there is another one."""
        rest = self._inflate.unused_data
        while len(rest) < len(GZIP_MARK) and (more := self._file.read(PACKED_AT_A_TIME)):
            rest += more
        if not rest.startswith(GZIP_MARK):
            return False
        self._inflate, self._ahead = zlib.decompressobj(wbits=GZIP), rest
        return True


def header_lines(name: str, file: BinaryIO, last: str | None = None) -> list[str]:
    """The lines of a text header, with the file left at the byte behind them.

    Args:
        name: Of the file, for messages.
        file: At its start.
        last: How the last line begins; None: the header ends at an empty line or with the file.

    Raises:
        InputError: Longer than any header, or no text at all.
    """
    lines: list[str] = []
    used = 0
    while raw := file.readline(LONGEST_HEADER - used + 1):
        used += len(raw)
        if used > LONGEST_HEADER or b"\0" in raw:
            raise InputError(
                f"{name}: its text header does not end within {LONGEST_HEADER} bytes or is not"
                " text; export it again"
            )
        # Names of persons and files may be in any encoding; what has a meaning here is ASCII.
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if last is None and not line.strip():
            return lines
        lines.append(line)
        if last is not None and line.startswith(last):
            return lines
    return lines


def whole_numbers(name: str, key: str, text: str) -> tuple[int, ...]:
    """Numbers separated by blanks, such as sizes.

    Raises:
        InputError: None, too many, or something else in between.
    """
    parts = text.split()
    if not 1 <= len(parts) <= 16 or not all(
        part.isascii() and part.removeprefix("-").isdigit() and len(part) < 20 for part in parts
    ):
        raise InputError(f"{name}: its {key} must be whole numbers; correct the header")
    return tuple(int(part) for part in parts)


def numbers(name: str, key: str, text: str, count: int | None = None) -> np.ndarray:
    """Numbers separated by blanks as float64; `nan` is one of them.

    Raises:
        InputError: Not numbers, or not `count` of them.
    """
    parts = text.split()
    try:
        if not text.isascii() or len(parts) > 64:
            raise ValueError
        values = np.array([float(part) for part in parts], dtype=np.float64)
    except ValueError:
        raise InputError(f"{name}: its {key} must be numbers; correct the header") from None
    if count is not None and len(values) != count:
        raise InputError(
            f"{name}: its {key} must be {count} numbers, not {len(values)}; correct the header"
        )
    return values


def data_file(header: Path, named: str) -> Path:
    """The one file of voxels that a header names, in the header's folder or below it.

    A header comes from elsewhere and must not decide which of the reader's files are read. Links
    inside the folder are followed: they are the reader's own (DataLad keeps all data behind links).

    Raises:
        InputError: Several files, a path to elsewhere, no such file, no regular file, or a header
            again.
    """
    if re.match(r"LIST(\s|$)", named) or "%" in named:
        suffix = header.suffix.lower()
        one = dict(zip(DETACHED, ATTACHED, strict=True)).get(suffix, suffix)
        raise InputError(f"{header}: its voxels are in several files; save it as one {one} file")
    named = named.strip()
    shown = named.encode("utf-8", "replace").decode()
    both = (PurePosixPath(named), PureWindowsPath(named))
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in both):
        raise InputError(
            f"{header}: names voxels outside its folder ({shown}); put the file beside the header"
            " and only its name into it"
        )
    path = header.parent / named
    if not path.exists() and (why := why_no_content(path)) is not None:
        raise InputError(f"{header}: its voxels ({shown}) are {why}")
    if not path.exists():
        raise InputError(f"{header}: its voxels ({shown}) are missing; copy them beside it")
    if not path.is_file():
        raise InputError(f"{header}: its voxels ({shown}) are not a regular file; copy them again")
    if path.samefile(header) or path.suffix.lower() in SUFFIXES:
        raise InputError(
            f"{header}: names a header ({shown}) for its voxels; name the file of raw voxels"
        )
    return path


def affine_of(name: str, axes: Sequence[np.ndarray], origin: np.ndarray) -> np.ndarray:
    """The RAS+ affine of one step along each axis and the first voxel's centre, in LPS+ mm.

    Two axes in a plane get a third across it, as NIfTI has it: 1 mm.

    Raises:
        InputError: Not finite, no volume, or no number of axes for an image.
    """
    affine = np.eye(4)
    count = len(axes)
    if count not in (2, 3) or any(len(axis) != len(axes[0]) for axis in (*axes, origin)):
        raise InputError(f"{name}: {count} axes in space; give an image of 2 or 3")
    dimensions = len(axes[0])
    if dimensions not in (2, 3) or dimensions < count:
        raise InputError(f"{name}: a space of {dimensions} dimensions; give an image of 2 or 3")
    for index, axis in enumerate(axes):
        affine[:dimensions, index] = axis
    if count == 2 and dimensions == 3:
        across = np.cross(affine[:3, 0], affine[:3, 1])
        length = np.linalg.norm(across)
        affine[:3, 2] = across / length if length else 0.0
    affine[:dimensions, 3] = origin
    affine = lps_to_ras(affine)
    try:
        check_affine(affine, name)
    except InputError:
        raise InputError(
            f"{name}: its directions and spacing give the voxels no place or no volume; correct the"
            " header"
        ) from None
    return affine


def nifti_header(layout: Layout) -> "Nifti2Header | None":
    """The header that the scan has among NIfTI scans; None without geometry.

    NIfTI-2 holds the affine in double precision, as the text did; `as_nifti1` is for files.
    """
    from nibabel import Nifti2Header

    if layout.affine is None:
        return None
    header = Nifti2Header()
    header.set_data_dtype(layout.dtype)
    header.set_data_shape(layout.image_shape)
    _place(header, layout.affine)
    if layout.volumes is not None:
        header["pixdim"][4] = layout.step
    return header


def as_nifti1(header: "Nifti1Header") -> "Nifti1Header":
    """The NIfTI-1 header of a scan that came with a text header, for more programs read that.

    Returns:
        A new header; the given NIfTI-2 one for sizes above 32767, which NIfTI-1 cannot hold.
    """
    from nibabel import Nifti1Header

    if max(header.get_data_shape()) > LARGEST_NIFTI1:
        return header
    new = Nifti1Header()
    new.set_data_dtype(header.get_data_dtype())
    new.set_data_shape(header.get_data_shape())
    _place(new, header.get_best_affine())
    new["pixdim"][4] = header["pixdim"][4]
    return new


def _place(header: "Nifti1Header", affine: np.ndarray) -> None:
    header.set_xyzt_units("mm", "sec")
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    # A quaternion holds no shear and, in float32, no half turn exactly. Some programs prefer it.
    corner = np.ones(4)
    sizes = header.get_data_shape()[:3]
    corner[: len(sizes)] = sizes
    try:
        lost = (np.abs(header.get_qform() - affine) @ corner).max()
    except ValueError:  # nibabel takes a half turn, rounded, for no quaternion
        lost = math.inf
    if lost > QFORM_ERROR:
        header["qform_code"] = 0


@dataclass(frozen=True)
class Placement:
    """A scan's grid as text headers state it.

    Attributes:
        sizes: Along the spatial axes, then of the series if it is one.
        axes: (n, n) LPS+ millimetres; row i is one step along axis i; None without geometry.
        origin: (n,) LPS+ millimetres of the first voxel's centre.
        step: Seconds between the volumes of a series; 0 if unknown or none.
    """

    sizes: tuple[int, ...]
    axes: np.ndarray | None
    origin: np.ndarray
    step: float


def placement(scan: Scan) -> Placement:
    """Where a scan's voxels are, for a text header.

    A 2-D scan stays 2-D where it lies in an axial plane at 0, which is all that two dimensions can
    say; elsewhere it becomes one slice in 3-D.
    """
    sizes = scan.array.shape
    if scan.affine is None:
        return Placement(sizes, None, np.zeros(0), 0.0)
    affine = lps_to_ras(scan.affine)
    count = min(len(sizes), 3)
    if count == 2 and (affine[2, :2].any() or affine[2, 3] or affine[:2, 2].any()):
        sizes, count = (*sizes, 1), 3
    return Placement(sizes, affine[:count, :count].T, affine[:count, 3], seconds_between(scan))


def seconds_between(scan: Scan) -> float:
    """From one volume of a series to the next; 0 if unknown, or of one volume."""
    if scan.header is None or scan.array.ndim < 4:
        return 0.0
    step = float(scan.header["pixdim"][4]) * seconds_of(scan.header)
    return step if math.isfinite(step) and step > 0 else 0.0


def decimal(value: float) -> str:
    """The shortest text that is read as the same number."""
    return repr(float(value) + 0.0)  # + 0.0: no -0.0


def stored_type(like: Scan) -> np.dtype[Any]:
    """The little-endian type in which a text format keeps what `like` was stored in.

    Neither has a slope or an intercept: values that had one become float32, like all other
    floating-point ones.
    """
    if like.dtype.kind in "iu" and like.slope == 1 and like.inter == 0:
        return like.dtype.newbyteorder("<")
    return np.dtype("<f4")


def raw_name(path: Path) -> Path:
    """The file of voxels beside a detached header that is to be written.

    Raises:
        InputError: A name that a line of text cannot hold.
    """
    name = path.with_suffix(".raw").name
    if not name.isprintable() or name != name.strip() or "%" in name or name == "LIST":
        raise InputError(
            f"{os.fsencode(path)!r}: a header cannot name its voxels so; choose a simpler output"
            " name"
        )
    return path.with_suffix(".raw")
