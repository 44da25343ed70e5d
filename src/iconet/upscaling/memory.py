"""Whether upscaling fits into memory, asked before anything is allocated."""

import math

import psutil

from iconet.errors import InputError
from iconet.images.scan import Scan
from iconet.upscaling.slices import window_pixels

BYTES_PER_PIXEL = 4096
"""What the network needs for each input pixel that goes through it, measured and rounded up."""


def available_memory() -> int:
    """Bytes that can still be allocated without swapping."""
    return psutil.virtual_memory().available


def check_memory(
    scan: Scan,
    axis: int,
    factor: int,
    *,
    halo: int,
    tile: int | None,
    batch: int | None,
    device: str,
) -> None:
    """Refuse a scan whose upscaling needs more memory than there is.

    Args:
        scan: the scan as read, whose own memory is already taken.
        axis: the axis across the slices.
        factor: the network's scale.
        halo: the network's.
        tile: side of the tiles, None for the default.
        batch: slices or tiles that go through the network together, None for the default.
        device: its type; only on the CPU does the network use the memory counted here.

    Raises:
        InputError: names the scan, both amounts and the remedy.
    """
    shape = scan.array.shape
    in_plane = [size for index, size in enumerate(shape[:3]) if index != axis]
    voxels = scan.array.size * factor**2
    output = voxels * 4
    # Writing an integer type needs the rounded values and the bytes beside the result.
    writing = voxels * scan.dtype.itemsize
    scaling = math.prod(shape[:3]) * 9  # magnitudes, which of them are bright, and those
    network = 0
    if device == "cpu":
        network = (
            window_pixels(*in_plane, halo=halo, tile=tile, batch=batch, device=device)
            * BYTES_PER_PIXEL
        )
    needed = output + max(writing, scaling + network)
    available = available_memory()
    if needed > available:
        raise InputError(
            f"{scan.name}: enlarging it {factor}x needs {needed / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are free: crop it, split it, or use a bigger machine"
        )
