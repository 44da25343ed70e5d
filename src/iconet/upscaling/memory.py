"""Whether upscaling fits into memory, asked before anything is allocated."""

import psutil

from iconet.errors import InputError
from iconet.images import Scan


def available_memory() -> int:
    """Bytes that can still be allocated without swapping."""
    return int(psutil.virtual_memory().available)


def check_memory(scan: Scan, voxels: int, working: int) -> None:
    """Refuse a scan whose upscaling needs more memory than there is.

    Args:
        scan: the scan as read, whose own memory is already taken.
        voxels: of the result.
        working: bytes needed on the way to it: networks, volumes between two steps.

    Raises:
        InputError: names the scan, both amounts and the remedy.
    """
    needed = voxels * 4 + max(voxels * scan.dtype.itemsize, working)
    available = available_memory()
    if needed > available:
        raise InputError(
            f"{scan.name}: enlarging it needs {needed / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are free: crop it, split it, or use a bigger machine"
        )
