"""Air around an object: found, and interpolated instead of given to the network.

A network's answer to air is worth nothing and costs as much as its answer to anatomy. What is lost
by sparing it was measured: docs/performance.md.
"""

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from iconet.network.interpolation import SincInterpolation

Frame = tuple[slice, slice]
"""Rows and columns of a slice."""

CELL = 8
"""Pixels along each side of the squares that are either object or air."""

FAINT, BRIGHT = 0.03, 0.2
"""Up to this mean, and to this maximum, as shares of what is bright, a cell is air."""

MARGIN = 8
"""Pixels of air around an object that the network is given with it."""


def frame_of_object(slices: NDArray, *, grid: int = 1) -> Frame | None:
    """The rectangle that holds all that is not air, and `MARGIN` around it.

    Args:
        slices: (N, H, W), real; nothing is 0, something bright 1.
        grid: its corners lie at multiples of this many pixels, or at the end of the slice.

    Returns:
        Rows and columns; None where all is air.
    """
    rows, columns = (range(0, side, CELL) for side in slices.shape[1:])
    heights, widths = (
        np.diff([*starts, side])
        for starts, side in zip((rows, columns), slices.shape[1:], strict=True)
    )
    pixels = np.outer(heights, widths)
    bright = np.zeros(pixels.shape, bool)
    for image in slices:
        magnitude = np.abs(image)
        sums = np.add.reduceat(np.add.reduceat(magnitude, rows, axis=0), columns, axis=1)
        peaks = np.maximum.reduceat(np.maximum.reduceat(magnitude, rows, axis=0), columns, axis=1)
        bright |= (sums > FAINT * pixels) | (peaks > BRIGHT)
    if not bright.any():
        return None
    grid = math.lcm(CELL, grid)
    sides = []
    for axis, side in enumerate(slices.shape[1:]):
        cells = np.flatnonzero(bright.any(axis=1 - axis)).tolist()
        first, last = cells[0] * CELL - MARGIN, (cells[-1] + 1) * CELL + MARGIN
        sides.append(slice(max(0, first // grid * grid), min(side, -(-last // grid) * grid)))
    return sides[0], sides[1]


def interpolate_background(image: NDArray, frame: Frame | None, out: NDArray) -> None:
    """Fill what lies outside of the frame with the interpolation that the network adds to.

    Args:
        image: (H, W), real.
        frame: of the input; None for nothing but background.
        out: (scale H, scale W), left as it is inside.
    """
    import torch

    from iconet.network.config import stages_for

    scale = out.shape[0] // image.shape[0]
    enlarged = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None]
    for _ in range(stages_for(scale)):
        enlarged = _interpolation()(enlarged)
    background = enlarged[0, 0].numpy()
    if frame is None:
        out[:] = background
        return
    rows, columns = (slice(scale * side.start, scale * side.stop) for side in frame)
    for part in (
        (slice(0, rows.start), slice(None)),
        (slice(rows.stop, None), slice(None)),
        (rows, slice(0, columns.start)),
        (rows, slice(columns.stop, None)),
    ):
        out[part] = background[part]


@cache
def _interpolation() -> "SincInterpolation":
    from iconet.network.interpolation import SincInterpolation

    return SincInterpolation()
