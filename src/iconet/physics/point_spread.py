"""How coarse voxels may have come from finer ones, if not by a crop of k-space: what programs do.

Each way works along both axes alike, keeps the field of view and keeps constants. It weighs what
lies below the new Nyquist frequency, and folds down a part of what lies above.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from iconet.physics.cosines import cosines2, from_cosines2
from iconet.physics.kspace import with_low_frequencies

LEAST = 1e-4
"""Least power that a pattern of coarse voxels must have to be looked for among finer ones, as a
share of what all patterns have in the mean."""

NOTHING = 1e-12
"""Weights below it are none."""


def _block_means(length: int, factor: int) -> Tensor:
    return F.avg_pool2d(torch.eye(length)[None], (factor, 1))[0]


def _interpolation(mode: str, length: int, factor: int) -> Tensor:
    size = (length // factor, length)
    lines = torch.eye(length)[None, None]
    return F.interpolate(lines, size, mode=mode, align_corners=False, antialias=True)[0, 0]


POINT_SPREADS: dict[str, Callable[[int, int], Tensor]] = {
    "block means": _block_means,
    "cubic interpolation": partial(_interpolation, "bicubic"),
    "linear interpolation": partial(_interpolation, "bilinear"),
}
"""By their names for people: from the fine voxels of a line, and how many of them there are along a
coarse one, to the weights (coarse, fine). The interpolations are widened against aliasing.
"""


def acquired_through(name: str, image: Tensor, factor: int) -> Tensor:
    """An image as it would have been acquired.

    Args:
        name: one of `POINT_SPREADS`.
        image: (..., factor h, factor w), real float32.
        factor: fine voxels along each side of a coarse one.

    Returns:
        (..., h, w).
    """
    rows, columns = (_forth(name, length, factor) for length in image.shape[-2:])
    return rows @ image @ columns.mT


def brought_back(name: str, image: Tensor, factor: int) -> Tensor:
    """The image of least power that would have been acquired as another one was.

    With A for `acquired_through` it is A^T (A A^T)^-1 of the image, the pseudo-inverse.

    Args:
        name: one of `POINT_SPREADS`.
        image: (..., h, w), real float32.
        factor: fine voxels along each side of a coarse one.

    Returns:
        (..., factor h, factor w).
    """
    rows, columns = (_back(name, length * factor, factor) for length in image.shape[-2:])
    return rows @ image @ columns.mT


@lru_cache(maxsize=16)
def _forth(name: str, length: int, factor: int) -> Tensor:
    return POINT_SPREADS[name](length, factor)


@lru_cache(maxsize=16)
def _back(name: str, length: int, factor: int) -> Tensor:
    forth = _forth(name, length, factor).double()
    power = forth @ forth.mT
    power += LEAST * power.diagonal().mean() * torch.eye(len(power))
    found = torch.linalg.solve(power, forth).mT.float()
    # Products of numbers next to nothing take ten times as long as others.
    return torch.where(found.abs() < NOTHING, 0.0, found)


def misfits(low: Tensor, high: Tensor) -> Tensor:
    """How much of an image would have to change for it to be acquired as another one was.

    Args:
        low: (h, w), what was acquired.
        high: (factor h, factor w), the image.

    Returns:
        Sums of squares: for a crop of k-space, and for each of `POINT_SPREADS`.
    """
    factor = high.shape[-1] // low.shape[-1]
    size = (low.shape[0], low.shape[1])
    # An image goes on beyond its ends periodically or evenly; the right one is not known here.
    periodic = with_low_frequencies(high, low, torch.zeros_like(low)) - high
    even = low - from_cosines2(cosines2(high, size) / factor, size)
    found = [torch.minimum(periodic.square().sum(), factor**2 * even.square().sum())]
    for name in POINT_SPREADS:
        missing = low - acquired_through(name, high, factor)
        found.append(brought_back(name, missing, factor).square().sum())
    return torch.stack(found)
