"""RSCFL: residual spatial-channel feature learning, the block of both branches.

The paper: two paths side by side, one that relates positions and one that relates channels. Ours:
a grid of cells relates positions near and far (spatial path); dense convolutions relate all
channels of a point and its nearest neighbours, and weigh them by how the image lost its resolution
(channel path, `iconet.network.description`). The sum of both is the block's residual.

Networks that know one way of losing resolution have nothing to weigh channels by: gates became
constants in eight forms (docs/experiments, 111). They are told nothing, and their paths follow
one another.

Cost: dense 3 x 3 convolutions, two a unit, at full resolution; the long range once a block on a
grid 4 x 4 coarser. All of it is linear in the number of pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.grids import FOLD, enlarge


def activate(x: Tensor) -> Tensor:
    """Leaky rectification: a tenth of what is negative passes.

    With plain rectification whole units died for good in long trainings, half of the network
    after 3000 steps (docs/experiments, 29).
    """
    return F.leaky_relu(x, 0.1)


class LocalUnit(nn.Module):
    """Two dense convolutions with a residual connection: the nearest neighbours of each point.

    Args:
        width: Number of channels C.
        described: Numbers that describe the image, by which the channels between the two are
            weighed; 0 for none.
    """

    def __init__(self, width: int, described: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.weigh = nn.Linear(described, width) if described else None
        if self.weigh is not None:
            nn.init.zeros_(self.weigh.weight)
            nn.init.zeros_(self.weigh.bias)

    def forward(self, x: Tensor, description: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same shape, by (B, described) numbers."""
        channels = activate(self.first(x))
        if self.weigh is not None:
            channels = channels * (1 + self.weigh(description))[:, :, None, None]
        return x + self.second(channels)


class ChannelPath(nn.Sequential):
    """Local units, one after the other, each told of the image."""

    def forward(self, x: Tensor, description: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        for unit in self:
            x = unit(x, description)
        return x


class SpatialPath(nn.Module):
    """Relates positions: every cell of 4 x 4 points sees the cells around it.

    Args:
        width: Number of channels C.
        span: How many cells each sees along its row, itself the middle one.
    """

    def __init__(self, width: int, span: int) -> None:
        super().__init__()
        self.gather = nn.Conv2d(width, width, 1)
        self.relate = nn.Conv2d(width, width, (3, span), padding=(1, span // 2))
        self.merge = nn.Conv2d(width, width, 1)
        # The long range starts without content and comes in as training finds a use for it.
        nn.init.zeros_(self.merge.weight)
        nn.init.zeros_(self.merge.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """What is to be added to (B, C, H, W); H and W are multiples of 4."""
        cells = activate(self.gather(F.avg_pool2d(x, FOLD)))
        return enlarge(self.merge(activate(self.relate(cells))), FOLD)


class RSCFL(nn.Module):
    """Features in, features out, by the channel path and the spatial path.

    Args:
        width: Number of channels C.
        units: Number of local units in the channel path.
        span: Cells of a row that the spatial path relates, an odd number; None for a block
            without that path.
        described: Numbers that describe the image; the paths are side by side then. Without any
            they follow one another.
        spatial_first: Whether the spatial path comes before the channel path, of those that do.
    """

    def __init__(
        self,
        width: int,
        units: int,
        span: int | None,
        *,
        described: int = 0,
        spatial_first: bool = False,
    ) -> None:
        super().__init__()
        self.described, self.spatial_first = described, spatial_first
        self.channel = ChannelPath(*(LocalUnit(width, described) for _ in range(units)))
        self.spatial = SpatialPath(width, span) if span else None

    def forward(self, x: Tensor, description: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same shape; H and W are multiples of 4.

        Args:
            x: Features.
            description: (B, described); None where that is 0.
        """
        if self.spatial is None:
            return self.channel(x, description)
        if self.described:
            return self.channel(x, description) + self.spatial(x)
        if self.spatial_first:
            return self.channel(x + self.spatial(x))
        x = self.channel(x)
        return x + self.spatial(x)
