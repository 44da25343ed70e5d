"""What a volume's values are like, found slice by slice: a copy of it may not fit into memory."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

DARKEST = 0.005
"""Share of a slice's voxels below the value that stands for nothing."""

SPIKE = (-0.5, 2.0)
"""Between nothing, 0, and something bright, 1, nearly everything lies; networks see no more."""


def levels_of_slice(image: NDArray) -> tuple[float, float]:
    """The values of a slice that stand for nothing and for something bright.

    They follow any shift and any scale of the intensities, and no other slice changes them.
    Nothing is the 0.5th percentile: the air, or the darkest tissue where there is no air. Bright
    is the 99.5th percentile of what exceeds the mean, as of `robust_scale`.

    Args:
        image: (h, w), real, finite and not constant.

    Returns:
        The two, the second above the first.
    """
    values = np.sort(image, axis=None)
    dark = values[int(DARKEST * (values.size - 1))]
    first = int(np.searchsorted(values, values.mean(dtype=np.float64), side="right"))
    count = values.size - first
    bright = values[first + max(1, round(0.995 * count)) - 1] if count else values[-1]
    if bright <= dark:  # all but a few voxels are one value
        dark, bright = values[0], values[-1]
    return float(dark), float(bright)


def dark_level(volume: NDArray) -> float:
    """The value that stands for nothing: 0, or the 5th percentile of a signed volume if negative.

    Networks know magnitudes, whose background is 0: a z-scored head or Hounsfield units come back
    worse than interpolated unless their background is put there. A percentile, because a few voxels
    of ringing below 0 must not lift the background of a magnitude image.
    """
    if volume.min() >= 0:
        return 0.0
    place = 0.05 * (volume.size - 1)
    below = ranked(volume, int(place))
    above = ranked(volume, min(int(place) + 1, volume.size - 1))
    return min(0.0, below + (above - below) * (place - int(place)))


def robust_scale(volume: NDArray, dark: float = 0.0) -> float:
    """Typical bright intensity of a volume, for normalisation by a scale alone.

    The 99.5th percentile of the magnitudes above the mean magnitude: hardly moved by the amount of
    background or by a few bright vessels. 1 where everything is zero.

    Args:
        volume: real; taken apart along its first axis.
        dark: the value that counts as 0.
    """

    def magnitude(part: NDArray) -> NDArray:
        return np.abs(part - dark if dark else part)

    mean = np.float64(sum(magnitude(part).sum(dtype=np.float64) for part in volume) / volume.size)
    bright = sum(int(np.count_nonzero(magnitude(part) > mean)) for part in volume)
    if bright == 0:  # a constant
        return float(magnitude(volume[:1]).flat[0]) or 1.0
    rank = max(1, round(0.995 * bright)) - 1
    return ranked(volume, volume.size - bright + rank, magnitude)


def ranked(
    volume: NDArray, rank: int, of: Callable[[NDArray], NDArray] = lambda part: part
) -> float:
    """The value that would be at `rank` if all were sorted, as float32.

    Exact, in two passes of counting: of the upper 16 bits, then of the lower ones of those values
    that share the upper ones.

    Args:
        volume: Real and finite; taken apart along its first axis.
        rank: From 0 to `volume.size - 1`.
        of: Applied to each part first, value by value.
    """
    before, upper = 0, -1
    for shift in (16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for part in volume:
            keys = _sortable(of(np.atleast_1d(part)))
            if shift == 0:
                keys = keys[keys >> 16 == upper]
            counts += np.bincount(keys >> shift & 0xFFFF, minlength=1 << 16)
        ends = before + np.cumsum(counts)
        found = int(np.searchsorted(ends, rank, side="right"))
        before = int(ends[found] - counts[found])
        if shift:
            upper = found
    key = np.uint32(upper << 16 | found)
    bits = key ^ np.uint32(1 << 31) if key >> 31 else ~key
    return float(np.array(bits, np.uint32).view(np.float32))


def _sortable(part: NDArray) -> NDArray[np.uint32]:
    """Bit patterns of float32 values as integers in the values' order."""
    bits = np.ascontiguousarray(part, np.float32).ravel().view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
