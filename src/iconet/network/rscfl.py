"""RSCFL: residual spatial-channel feature learning, the block of both branches.

Two paths. Dense convolutions relate all channels of a pixel and its nearest neighbours: the channel
path. A coarse grid relates positions, near and far: the spatial path. Gates on channels, as others
have, brought nothing in eight forms and became constants in training (docs/experiments.md, 111).

Cost: dense 3 x 3 convolutions, two a unit, at full resolution; what is long-range happens once a
block on a grid 4 x 4 coarser. All of it is linear in the number of pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.fusion import enlarge

FOLD = 4  # pixels along each side of a cell of the coarse grid
NEAREST = 3  # cells: itself and one to each side


def activate(x: Tensor) -> Tensor:
    """Leaky rectification: a tenth of what is negative passes.

    With plain rectification whole units died for good in long trainings, half of the network
    after 3000 steps (docs/experiments.md, row 29).
    """
    return F.leaky_relu(x, 0.1)


class LocalUnit(nn.Module):
    """Two dense convolutions with a residual connection: the nearest neighbours of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + self.second(activate(self.first(x)))


class SpatialPath(nn.Module):
    """Relates positions: every cell of the coarse grid sees the cells around it.

    Args:
        width: Number of channels C.
        span: How many cells each sees along its row, itself the middle one.
    """

    def __init__(self, width: int, span: int) -> None:
        super().__init__()
        self.relate = nn.Conv2d(width, width, (3, span), padding=(1, span // 2))

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (B, C, H/4, W/4) to the same shape."""
        return activate(self.relate(cells))


class RSCFL(nn.Module):
    """Features in, features out, by the channel path ``local`` and the spatial path ``look``.

    Both are residual. The spatial one comes last; or first, where it spans more than the nearest
    cells: what is folded over a place has to be seen before the two can be told apart.

    Args:
        width: Number of channels C.
        units: Number of local units.
        span: Cells of a row that the spatial path sees at once, an odd number; 0 for a block
            without that path.
    """

    def __init__(self, width: int, units: int, span: int) -> None:
        super().__init__()
        self.span = span
        self.local = nn.Sequential(*(LocalUnit(width) for _ in range(units)))
        if span == 0:
            return
        self.gather = nn.Conv2d(width, width, 1)
        self.spatial = SpatialPath(width, span)
        self.merge = nn.Conv2d(width, width, 1)
        # The long range starts without content and comes in as training finds a use for it.
        nn.init.zeros_(self.merge.weight)
        nn.init.zeros_(self.merge.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; H and W are multiples of 4."""
        if self.span > NEAREST:
            return self.local(self.look(x))
        x = self.local(x)
        return self.look(x) if self.span else x

    def look(self, x: Tensor) -> Tensor:
        """Add to (B, C, H, W) what the coarse grid tells, from means over its 4 x 4 pixels."""
        cells = activate(self.gather(F.avg_pool2d(x, FOLD)))
        return x + enlarge(self.merge(self.spatial(cells)), FOLD)
