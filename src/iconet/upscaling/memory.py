"""Whether upscaling fits into memory, asked before anything is allocated."""

import math

from iconet.errors import InputError
from iconet.images.scan import Scan
from iconet.upscaling.slices import window_pixels

BYTES_PER_PIXEL = 4096
"""What the network needs per input pixel and unit of squared scale, measured with `base` and rounded up."""


def check_memory(scan: Scan, axis: int | None, factor: int, *, halo: int, tile: int | None, batch: int | None, device: str) -> None:
    """Refuse a scan whose upscaling needs more memory than there is.

    Args:
        scan: the scan as read, whose own memory is already taken.
        axis: the axis across the slices, None for a 2-D picture.
        factor: the network's scale.
        halo, tile, batch, device: what decides how much goes through the network together.

    Raises:
        InputError: names the scan, both amounts and the remedy.
    """
    import psutil

    shape = scan.array.shape
    in_plane = [size for index, size in enumerate(shape[:3]) if index != axis]
    voxels = scan.array.size * factor**2
    output = voxels * 4
    # Writing an integer type needs the rounded values and the bytes beside the result.
    writing = voxels * scan.dtype.itemsize if scan.dtype is not None else 0
    scaling = math.prod(shape[:3]) * 9  # magnitudes, which of them are bright, and those
    network = 0
    if device == "cpu":
        network = window_pixels(*in_plane, halo=halo, tile=tile, batch=batch, device=device) * BYTES_PER_PIXEL
    needed = output + max(writing, scaling + network)
    available = psutil.virtual_memory().available
    if needed > available:
        raise InputError(
            f"{scan.name}: enlarging it {factor}x needs {needed / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are free: crop it, split it, or use a bigger machine"
        )
