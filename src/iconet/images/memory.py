"""Says that a scan, or what is to be made of it, does not fit before anything is allocated."""

import math
from collections.abc import Sequence

import psutil

from iconet.errors import InputError
from iconet.images.scan import Scan

LARGEST_UNCHECKED = 1 << 26  # bytes
LARGEST_RATIO = 200


def available_memory() -> int:
    """Bytes that can still be allocated without swapping."""
    return int(psutil.virtual_memory().available)


def memory_needed(shape: Sequence[int], scale: int = 1) -> int:
    """Bytes for a scan of this shape as float32 and, beside it, the image `scale` times larger.

    Args:
        shape: Voxels along each axis, as the header claims them.
        scale: Enlargement of the two in-plane axes; 1 means that only the scan itself is held.
    """
    voxels = math.prod(int(size) for size in shape)
    return 4 * voxels * (1 if scale == 1 else 1 + scale**2)


def require_substance(name: str, unpacked: int, packed: int) -> None:
    """Refuses compressed voxels that were made to fill the memory.

    Scans shrink 2 to 10 times, sparse maps more: only what is large and shrinks beyond all of them
    is refused. The bound keeps reading under 500 MB, decoders' own copies included.

    Args:
        name: What error messages call the file.
        unpacked: Bytes that the voxels would take, at least as float32.
        packed: Bytes that they are compressed into.

    Raises:
        InputError: Beyond both bounds.
    """
    if unpacked > max(LARGEST_UNCHECKED, LARGEST_RATIO * packed):
        raise InputError(
            f"{name}: {packed} bytes would unpack to {unpacked}, which no scan does; if it is one,"
            " save it uncompressed"
        )


def require_memory(name: str, shape: Sequence[int], scale: int = 1) -> None:
    """Refuses a scan that does not fit into the memory available now.

    Raises:
        InputError: `memory_needed` exceeds what the system has available.
    """
    needed, available = memory_needed(shape, scale), available_memory()
    if needed > available:
        size = " x ".join(str(n) for n in shape)
        raise InputError(
            f"{name}: {size} voxels need {needed / 1e9:.1f} GB of memory and"
            f" {available / 1e9:.1f} GB are available; crop or split it, or use a"
            " larger machine"
        )


def require_memory_to_upscale(scan: Scan, voxels: int, working: int) -> None:
    """Refuses a scan whose upscaling needs more memory than there is.

    Args:
        scan: As read, whose own memory is already taken.
        voxels: Of the result.
        working: Bytes needed on the way to it: networks, volumes between two steps.

    Raises:
        InputError: Names the scan, both amounts and the remedy.
    """
    needed = voxels * 4 + max(voxels * scan.dtype.itemsize, working)
    available = available_memory()
    if needed > available:
        raise InputError(
            f"{scan.name}: enlarging it needs {needed / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are free: crop it, split it, or use a bigger machine"
        )
