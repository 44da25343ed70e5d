"""Air around an object: found, and interpolated instead of given to the network.

A network's answer to air is worth nothing and costs as much as its answer to anatomy. What is lost
by sparing it was measured: docs/performance.md.
"""

from collections.abc import Sequence
from functools import cache
from math import ceil
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

DIM = 0.1
"""Slices with less than this share of the brightest one's range can be noise alone."""

WHITE = 2.0
"""Times the variance that the means of cells of independent pixels have; structure has more."""

MARGIN = 4
"""Pixels of air around the cells of an object that the network is given with it; 8 gain nothing."""


def frame_of_object(
    slices: Sequence[NDArray], size: tuple[int, ...], *, multiple: int = 1
) -> Frame | None:
    """The rectangle that holds all that is not air, and `MARGIN` around it.

    Args:
        slices: (H, W) each, real; nothing is 0, something bright 1.
        size: (H, W).
        multiple: its sides are multiples of this many pixels, or the slice's own.

    Returns:
        Rows and columns; None where all is air.
    """
    pixels = np.outer(*(np.diff([*range(0, side, CELL), side]) for side in size))
    bright = np.zeros(pixels.shape, bool)
    for image in slices:
        cells = np.abs(_in_cells(image))
        lines = cells.max(axis=1), cells.sum(axis=1)
        peaks, sums = lines[0].max(axis=2), lines[1].sum(axis=2)
        bright |= (sums > FAINT * pixels) | (peaks > BRIGHT)
    if not bright.any():
        return None
    sides = []
    for axis, side in enumerate(size):
        cells = np.flatnonzero(bright.any(axis=1 - axis)).tolist()
        first, last = max(0, cells[0] * CELL - MARGIN), (cells[-1] + 1) * CELL + MARGIN
        length = ceil((last - first) / multiple) * multiple
        first = max(0, min(first, side - length))
        sides.append(slice(first, min(side, first + length)))
    return sides[0], sides[1]


def _in_cells(image: NDArray) -> NDArray:
    """(rows of cells, CELL, columns of cells, CELL); what is missing at the ends is air."""
    height, width = image.shape
    if height % CELL or width % CELL:
        image = np.pad(image, ((0, -height % CELL), (0, -width % CELL)))
        height, width = image.shape
    return image.reshape(height // CELL, CELL, width // CELL, CELL)


def is_noise(image: NDArray) -> bool:
    """Whether the pixels of a slice (H, W) are as independent as those of noise."""
    height, width = (side - side % CELL for side in image.shape)
    means = _in_cells(image[:height, :width]).mean(axis=(1, 3), dtype=np.float64)
    return (
        bool(means.var() * CELL**2 < WHITE * image.var(dtype=np.float64)) if means.size else False
    )


def interpolate_background(image: NDArray, frame: Frame | None, out: NDArray) -> None:
    """Fill what lies outside of the frame with the interpolation that the network adds to.

    Args:
        image: (H, W), real.
        frame: of the input; None for nothing but background.
        out: (scale H, scale W), left as it is inside.
    """
    height, width = image.shape
    everywhere = slice(0, height), slice(0, width)
    if frame is None:
        _interpolate(image, everywhere, out)
        return
    rows, columns = frame
    for part in (
        (slice(0, rows.start), everywhere[1]),
        (slice(rows.stop, height), everywhere[1]),
        (rows, slice(0, columns.start)),
        (rows, slice(columns.stop, width)),
    ):
        if all(side.start < side.stop for side in part):
            _interpolate(image, part, out)


def _interpolate(image: NDArray, part: Frame, out: NDArray) -> None:
    """Fill one part of the output, as if all were interpolated."""
    import torch

    from iconet.network.config import stages_for
    from iconet.network.interpolation import SincInterpolation

    scale = out.shape[0] // image.shape[0]
    # The first stage sees so far, those after it half as far each: together less than twice.
    reach = 2 * SincInterpolation.REACH
    read = [
        slice(max(0, side.start - reach), min(size, side.stop + reach))
        for side, size in zip(part, image.shape, strict=True)
    ]
    enlarged = torch.from_numpy(np.ascontiguousarray(image[tuple(read)], np.float32))[None, None]
    for _ in range(stages_for(scale)):
        enlarged = _interpolation()(enlarged)
    keep = tuple(
        slice(scale * (side.start - around.start), scale * (side.stop - around.start))
        for side, around in zip(part, read, strict=True)
    )
    out[tuple(slice(scale * side.start, scale * side.stop) for side in part)] = enlarged[0, 0][keep]


@cache
def _interpolation() -> "SincInterpolation":
    from iconet.network.interpolation import SincInterpolation

    return SincInterpolation()
