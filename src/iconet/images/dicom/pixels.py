"""The stored numbers of a DICOM image, frame by frame, with truncation noticed.

Decoders differ in what they do with damaged data: some hand back half a picture, some believe the
size that a compressed frame claims for itself and allocate it. So frames are looked at first.
"""

import contextlib
import math
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom import jpeg
from iconet.images.memory import require_substance
from iconet.images.native import native_messages

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import Decoder
    from pydicom.uid import UID

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"  # JPEG 2000 ends in the same marker
# The first that can: Pillow reads JPEG 2000 at 8 bits only, and pydicom's own decoder is slow.
DECODERS = ("pylibjpeg", "pillow", jpeg.PLUGIN, "pydicom")
J2K_START = b"\xff\x4f\xff\x51"
J2K_SEARCH = 4096  # bytes in which a codestream begins if a JP2 file's boxes come before it
# Start-of-frame markers of JPEG (the others in their range are tables) and of JPEG-LS.
JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
JPEG_SCAN = 0xDA
FLOATS = {"FloatPixelData": "f4", "DoubleFloatPixelData": "f8"}


def stored_frames(image: "Dataset", name: str) -> Iterator[np.ndarray]:
    """Decodes one frame after the other.

    Args:
        image: A greyscale image with its pixel data.
        name: What error messages call its file.

    Yields:
        (rows, columns) as stored: integers, signed if the header says so and with unused bits
        removed, or the floating-point numbers of a parametric map; no rescale applied and
        MONOCHROME1 not inverted.

    Raises:
        InputError: No or truncated pixel data, an impossible bit depth, a compression without a
            decoder, or a compressed frame that contradicts the header.
    """
    rows, columns = int(image.Rows), int(image.Columns)
    frames = int(image.get("NumberOfFrames") or 1)
    for keyword, kind in FLOATS.items():
        if image.get(keyword) is not None:
            yield from _float_frames(image, keyword, kind, (frames, rows, columns), name)
            return
    if "PixelData" not in image or image.PixelData is None:
        raise InputError(f"{name}: no pixel data, or cut off before it; copy or export it again")
    allocated, stored = int(image.BitsAllocated), int(image.BitsStored)
    high = int(image.get("HighBit", stored - 1))
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or high != stored - 1:
        raise InputError(
            f"{name}: {stored} bits up to bit {high} in {allocated} cannot be a scan's;"
            " export it again"
        )
    decoder = _decoder(image.file_meta.TransferSyntaxUID, name)
    _check_complete(image, frames, frames * rows * columns * allocated // 8, name)
    plugin = next((known for known in DECODERS if known in decoder.available_plugins), "")
    decoded = decoder.iter_array(image, raw=True, decoding_plugin=plugin)
    for _ in range(frames):
        try:
            with native_messages() as said:
                array, _ = next(decoded)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a decoder in Rust is no Exception
            raise InputError(f"{name}: damaged pixel data; copy or export it again") from error
        if said:  # what is missing was filled with zeros
            raise InputError(f"{name}: damaged pixel data; copy or export it again")
        if array.shape != (rows, columns):
            raise InputError(f"{name}: a frame of another size than its header's; export it again")
        yield array


def _float_frames(
    image: "Dataset", keyword: str, kind: str, shape: tuple[int, int, int], name: str
) -> Iterator[np.ndarray]:
    """The frames of floating-point numbers, which DICOM knows uncompressed alone (PS3.5 A.4)."""
    syntax = image.file_meta.TransferSyntaxUID
    if syntax.is_transfer_syntax and syntax.is_encapsulated:
        raise InputError(f"{name}: compressed floating-point pixels; decompress it first")
    dtype = np.dtype(("<" if syntax.is_little_endian else ">") + kind)
    data, claimed = image[keyword].value, math.prod(shape) * dtype.itemsize
    if len(data) < claimed:
        raise InputError(
            f"{name}: truncated pixel data ({len(data)} of {claimed} bytes); copy or export it"
            " again"
        )
    yield from np.frombuffer(data, dtype, math.prod(shape)).reshape(shape)


def padding_of(image: "Dataset") -> tuple[int, int] | None:
    """The stored numbers, from one to another, that a header calls padding; None without any.

    Programs write the value without regard to the sign of the pixels: -2000 as 63536.
    """
    if "BitsStored" not in image:  # floating-point numbers
        return None
    stored, signed = int(image.BitsStored), bool(image.get("PixelRepresentation"))
    lowest = -(1 << stored - 1) if signed else 0
    ends = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        try:
            value = image.get(keyword)
        except Exception:  # a malformed one makes pydicom raise nearly anything
            return None
        if isinstance(value, int):
            number = value & 0xFFFF
            ends.append(number - 0x10000 if signed and number > 0x7FFF else number)
        elif not ends:
            return None
    if not all(lowest <= end < lowest + (1 << stored) for end in ends):
        return None
    return min(ends), max(ends)


def _decoder(syntax: "UID", name: str) -> "Decoder":
    from pydicom.pixels.decoders.base import get_decoder

    with contextlib.suppress(NotImplementedError):
        decoder = get_decoder(syntax)
        jpeg.add_to(decoder)
        if decoder.is_available:
            return decoder
    kind = syntax.name if syntax.is_transfer_syntax else "an unknown encoding"
    raise InputError(
        f"{name}: stored as {kind}, for which no decoder is installed; decompress it first"
        " (dcmdjpeg, dcmdjpls, gdcmconv --raw)"
    )


def _check_complete(image: "Dataset", frames: int, size: int, name: str) -> None:
    """Refuses pixel data of fewer frames, or of fewer than `size` bytes, than the header claims."""
    from pydicom.encaps import generate_frames

    data, syntax = image.PixelData, image.file_meta.TransferSyntaxUID
    held, claimed, unit = len(data), size, "bytes"
    if syntax.is_encapsulated:
        offsets = None
        if "ExtendedOffsetTable" in image:
            offsets = (image.ExtendedOffsetTable, image.ExtendedOffsetTableLengths)
        held, claimed, unit = 0, frames, "frames"
        for frame in generate_frames(data, number_of_frames=frames, extended_offsets=offsets):
            held += 1
            _check_codestream(frame, (int(image.Rows), int(image.Columns)), f"{name}: frame {held}")
        require_substance(name, size, len(data))
    if held < claimed:
        raise InputError(
            f"{name}: truncated pixel data ({held} of {claimed} {unit}); copy or export it again"
        )


def _check_codestream(frame: bytes, size: tuple[int, int], name: str) -> None:
    """Refuses a JPEG, JPEG-LS or JPEG 2000 frame that is cut off or claims another size."""
    start = frame.find(J2K_START, 0, J2K_SEARCH)
    if start >= 0 and not frame.startswith(JPEG_START):
        # SIZ: length, capabilities, extent, offset, tile extent, tile offset, components.
        siz = struct.unpack_from(">2H8IH", frame, start + len(J2K_START))
        claimed, components = (siz[3] - siz[5], siz[2] - siz[4]), siz[10]
    elif frame.startswith(JPEG_START):
        *claimed_size, components = _jpeg_size(frame)
        claimed = (claimed_size[0], claimed_size[1])
    else:
        return  # run-length: it has no size of its own
    if not frame.rstrip(b"\0").endswith(JPEG_END):
        raise InputError(f"{name}: truncated pixel data; copy or export it again")
    if components != 1 or claimed != size:
        raise InputError(f"{name}: its size contradicts the header; export it again")


def _jpeg_size(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and components of a JPEG or JPEG-LS frame; zeros if it tells none."""
    at = len(JPEG_START)
    while at + 4 <= len(frame):
        mark, kind, length = struct.unpack_from(">BBH", frame, at)
        if mark != 0xFF or kind == JPEG_SCAN:
            break
        if kind in JPEG_FRAMES:
            rows, columns, components = struct.unpack_from(">HHB", frame, at + 5)
            return rows, columns, components
        at += 2 + length
    return 0, 0, 0
