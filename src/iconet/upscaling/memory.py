"""Whether upscaling fits into memory, asked before anything is allocated."""

import psutil

from iconet.errors import InputError
from iconet.images import Scan


def available_memory() -> int:
    """Bytes that can still be allocated without swapping."""
    return int(psutil.virtual_memory().available)


def check_memory(scan: Scan, factor: int, network: int) -> None:
    """Refuse a scan whose upscaling needs more memory than there is.

    Args:
        scan: the scan as read, whose own memory is already taken.
        factor: how many times larger each side of a slice becomes.
        network: bytes the network needs.

    Raises:
        InputError: names the scan, both amounts and the remedy.
    """
    voxels = scan.array.size * factor**2
    needed = voxels * 4 + max(voxels * scan.dtype.itemsize, network)
    available = available_memory()
    if needed > available:
        raise InputError(
            f"{scan.name}: enlarging it {factor}x needs {needed / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are free: crop it, split it, or use a bigger machine"
        )
