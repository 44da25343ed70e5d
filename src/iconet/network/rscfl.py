"""RSCFL: residual spatial-channel feature learning, the block of both branches.

The paper: a block with a path that relates positions and a path that relates channels. Ours: dense
convolutions relate all channels of a point and its nearest neighbours (channel path), and a grid of
cells relates positions near and far (spatial path). Gates on channels, as others have them, brought
nothing in eight forms and became constants in training (docs/experiments.md, 111).

Cost: dense 3 x 3 convolutions, two a unit, at full resolution; the long range once a block on a
grid 4 x 4 coarser. All of it is linear in the number of pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.grids import FOLD, enlarge


def activate(x: Tensor) -> Tensor:
    """Leaky rectification: a tenth of what is negative passes.

    With plain rectification whole units died for good in long trainings, half of the network
    after 3000 steps (docs/experiments.md, row 29).
    """
    return F.leaky_relu(x, 0.1)


class LocalUnit(nn.Module):
    """Two dense convolutions with a residual connection: the nearest neighbours of each point."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + self.second(activate(self.first(x)))


class SpatialPath(nn.Module):
    """Relates positions: every cell of 4 x 4 points sees the cells around it; residual.

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
        """Map (B, C, H, W) to the same shape; H and W are multiples of 4."""
        cells = activate(self.gather(F.avg_pool2d(x, FOLD)))
        return x + enlarge(self.merge(activate(self.relate(cells))), FOLD)


class RSCFL(nn.Module):
    """Features in, features out, by the channel path and the spatial path.

    Args:
        width: Number of channels C.
        units: Number of local units in the channel path.
        span: Cells of a row that the spatial path relates, an odd number; None for a block
            without that path.
        spatial_first: Whether the spatial path comes before the channel path.
    """

    def __init__(
        self, width: int, units: int, span: int | None, *, spatial_first: bool = False
    ) -> None:
        super().__init__()
        self.spatial_first = spatial_first
        self.channel = nn.Sequential(*(LocalUnit(width) for _ in range(units)))
        self.spatial = SpatialPath(width, span) if span else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; H and W are multiples of 4."""
        if self.spatial is None:
            return self.channel(x)
        if self.spatial_first:
            return self.channel(self.spatial(x))
        return self.spatial(self.channel(x))
