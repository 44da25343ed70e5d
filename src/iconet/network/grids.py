"""Grids that are coarser than the image: padding to them, going there and back, how far they see.

The super-resolution branch works on pixels and the reconstruction branch on blocks of 2 x 2 of them
(the half grid). The spatial path of a block works on cells of 4 x 4 points of its branch's grid.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from iconet.network.config import ICONetConfig
from iconet.network.interpolation import SincInterpolation

FOLD = 4  # points along each side of a cell
MULTIPLE = 2 * FOLD  # pixels along each side of a cell of the half grid, the coarsest of all


def whole_cells(image: Tensor) -> Tensor:
    """Pad to whole cells of the coarsest grid, with edge values."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")


def to_half_grid(image: Tensor) -> Tensor:
    """Blocks of 2 x 2 pixels as channels: (B, c, H, W) to (B, 4c, H'/2, W'/2), whole cells."""
    return F.pixel_unshuffle(whole_cells(image), 2)


def to_pixels(blocks: Tensor, like: Tensor) -> Tensor:
    """Channels as blocks of 2 x 2 pixels, cut to the size of an image.

    float32 whatever precision features have: bfloat16 keeps only 8 bits.
    """
    height, width = like.shape[-2:]
    return F.pixel_shuffle(blocks, 2).float()[..., :height, :width]


def enlarge(features: Tensor, factor: int) -> Tensor:
    """Bilinear between the points of a grid: what comes from a coarser grid must not show it.

    Of what brings a coarse grid back to pixels this costs least (docs/experiments, 5).
    """
    return F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)


def enlarge_to_cells(features: Tensor, like: Tensor) -> Tensor:
    """Features of one stage on the pixels of the next, as many as whole cells hold its image."""
    height, width = (_whole(side) for side in like.shape[-2:])
    return enlarge(features, 2)[..., :height, :width]


def halo(config: ICONetConfig, beyond: int = 0) -> int:
    """Low-resolution pixels around a tile beyond which nothing reaches its inner part.

    Each 3 x 3 convolution sees one point of its grid to each side; a spatial path half its span
    around its own cell and one more (interpolation); a fusion two points of the half grid. One
    convolution stands at each end of a stage.

    Args:
        config: Settings of the network.
        beyond: Points that a head on the last stage's features sees to each side.
    """
    reach = 0.0
    for stage in range(config.stages):
        span = config.span_of(stage)
        far = (2 + span // 2) * FOLD - 1 if span else 0
        rec = 2 * (2 * config.rec_units + far)
        sr = 2 * config.sr_units + far
        block_and_fusion = max(rec, sr) + 4
        whole = config.exchanges_of(stage) * block_and_fusion + 4 + SincInterpolation.REACH
        reach += whole / 2**stage
    reach += beyond / 2 ** (config.stages - 1)
    return _whole(math.ceil(reach))


def _whole(length: int) -> int:
    """The next multiple of whole cells of the coarsest grid."""
    return length + -length % MULTIPLE  # exporters follow this, not math.ceil
