"""What an enlarged slice owes the slice, whatever the network answers.

As `iconet.upscaling.fidelity` does, with torch alone; the band is replaced by cosines throughout.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

OVERSHOOT = 0.5
"""Share of the local range by which new voxels may leave it."""

SPIKE = (-0.5, 2.0)
"""Between nothing, 0, and something bright, 1, nearly everything lies; networks see no more."""

DARK, EDGE, FOLDED = 0.1, 0.25, 0.1
"""Dark voxels, edges beside them, as shares of what is bright, and by how much of the local range
the band may differ there."""

ALTERNATIONS = 3
"""Times that a masked slice is given its band and its background again; then both nearly hold."""


def levels_of_slice(image: Tensor) -> tuple[float, float]:
    """The values of a slice (h, w) that stand for nothing and for something bright.

    Returns:
        The 0.5th percentile, and the 99.5th percentile of what exceeds the mean; the least and the
        largest value where all but a few voxels are one value.
    """
    values = image.flatten().double().sort().values
    above = values[values > values.mean()]
    dark = values[int(0.005 * (len(values) - 1))]
    bright = above[max(1, round(0.995 * len(above))) - 1] if len(above) else values[-1]
    if bright <= dark:
        dark, bright = values[0], values[-1]
    return dark.item(), bright.item()


def flat_background(image: Tensor) -> Tensor:
    """Where a slice (h, w) holds the constant that its background was set to; nowhere without one.

    It is the value that most corners share, if blocks of 3 x 3 voxels of nothing else cover 1 % of
    the slice. Where voxels beyond the blocks are more than a tenth of those of that value, they are
    rounded noise and do not belong to it.
    """
    corners = [image[row, column].item() for row in (0, -1) for column in (0, -1)]
    value = max(sorted(corners), key=corners.count)
    same = image == value
    blocks = local_range(local_range(same.float())[0])[1] > 0
    covered = int(blocks.sum())
    if corners.count(value) < 2 or covered < max(9, 0.01 * image.numel()):
        return torch.zeros_like(same)
    return same if covered > 0.9 * int(same.sum()) else blocks


def keep_to_slice(low: Tensor, high: Tensor, background: Tensor, beyond: Tensor) -> Tensor:
    """Make an enlarged slice agree with the slice.

    Args:
        low: (h, w), the slice; intensities of the order of 1.
        high: (s h, s w), the enlarged slice.
        background: (h, w) bool, see `flat_background`.
        beyond: (h, w), what the slice has beyond `SPIKE`, which is interpolated linearly.

    Returns:
        (s h, s w): its band is that of the slice; every voxel lies within the range of the 3 x 3
        voxels around its place, widened by half of it, and not below the slice's smallest voxel.
    """
    factor = high.shape[-1] // low.shape[-1]
    high = with_band_of(low, high)
    if background.any():
        masked, value = repeated(background, factor), low[background][0]
        for _ in range(ALTERNATIONS):
            high = with_band_of(low, torch.where(masked, value, high))
    low = low + beyond
    high = high + F.interpolate(beyond[None, None], scale_factor=factor, mode="bilinear")[0, 0]
    least, most = local_range(low)
    span = OVERSHOOT * (most - least)
    least = (least - span).clamp(min=low.min())
    return high.clamp(repeated(least, factor), repeated(most + span, factor))


def with_band_of(low: Tensor, high: Tensor) -> Tensor:
    """Replace what (H, W) holds below the Nyquist frequency of (h, w) by what that holds.

    A dark voxel beside an edge may stay as the network gave it, by no more than itself and a tenth
    of the local range: the magnitude may have folded up what rang below 0.
    """
    gain = math.sqrt(high.numel() / low.numel())
    rows, columns = (
        (cosines(old), cosines(new)[:old]) for old, new in zip(low.shape, high.shape, strict=True)
    )
    down, along = rows[0].T @ rows[1], columns[1].T @ columns[0]
    missing = low - down @ high @ along / gain
    least, most = local_range(low)
    span = most - least
    possible = (low < DARK) & (span > EDGE)
    allowed = torch.where(possible, torch.minimum(FOLDED * span, low.clamp(min=0)), 0.0)
    missing = missing - missing.clamp(-allowed, allowed)
    return high + gain * down.T @ missing @ along.T


@cache
def cosines(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (coefficients, voxels)."""
    order = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi / size * order[:, None] * (order + 0.5)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


def local_range(image: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest of the 3 x 3 voxels around each one of (h, w)."""
    least = -F.max_pool2d(-image[None], 3, stride=1, padding=1)
    return least[0], F.max_pool2d(image[None], 3, stride=1, padding=1)[0]


def repeated(image: Tensor, factor: int) -> Tensor:
    """Repeat every pixel of (h, w)."""
    return image.repeat_interleave(factor, dim=0).repeat_interleave(factor, dim=1)
