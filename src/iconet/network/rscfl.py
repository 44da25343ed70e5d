"""RSCFL: residual spatial-channel feature learning, the block of both branches.

Cost: two dense 3 x 3 convolutions per pixel; everything long-range happens on a grid 4 x 4 coarser,
so the cost is linear in the number of pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FOLD = 4  # pixels along each side of a cell of the coarse grid


class SpatialPath(nn.Module):
    """Relates positions: what stands in the cells around is added to each pixel of a cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.relate = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (B, C, H/4, W/4) to offsets of the same shape."""
        return self.relate(cells)


class ChannelPath(nn.Module):
    """Relates channels: a gate per channel from the strengths of all channels nearby.

    The strengths are means over 3 x 3 cells (12 x 12 pixels), the same on a training patch, a
    tile and a whole slice. Means over the whole image (squeeze-and-excitation) would make the
    answer depend on the image's size.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, width // 2, 1)
        self.excite = nn.Conv2d(width // 2, width, 1)
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (B, C, H/4, W/4) to gates of the same shape in (0, 2); 1 at initialisation."""
        strength = F.avg_pool2d(cells, 3, stride=1, padding=1)
        return 2 * torch.sigmoid(self.excite(F.relu(self.squeeze(strength))))


class RSCFL(nn.Module):
    """Features in, features out: ``x + merge(gate * local(x) + far)``.

    Args:
        width: Number of channels C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(width, width, 3, padding=1)
        self.gather = nn.Conv2d(width, width, FOLD, stride=FOLD)
        self.spatial = SpatialPath(width)
        self.channel = ChannelPath(width)
        self.merge = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape; H and W are multiples of 4."""
        cells = F.relu(self.gather(x))
        y = _modulate(F.relu(self.local(x)), gate=self.channel(cells), offset=self.spatial(cells))
        return x + self.merge(y)


def _modulate(features: Tensor, gate: Tensor, offset: Tensor) -> Tensor:
    """Compute ``gate * features + offset``, each cell's gate and offset serving its 4 x 4 pixels.

    Broadcasting over a folded view of the channels-last memory spares two full-size copies.
    """
    b, c, h, w = features.shape
    folded = features.permute(0, 2, 3, 1).reshape(b, h // FOLD, FOLD, w // FOLD, FOLD, c)
    gate, offset = (cell.permute(0, 2, 3, 1)[:, :, None, :, None] for cell in (gate, offset))
    return torch.addcmul(offset, folded, gate).reshape(b, h, w, c).permute(0, 3, 1, 2)
