"""SR-Rec fusion: the two branches tell each other what they found."""

import torch
from torch import Tensor, nn

from iconet.network.rscfl import FOLD


class SRRecFusion(nn.Module):
    """Each branch takes from the other, as much as the content of both at a place suggests.

    ::

        r, s = read_rec(rec), read_sr(sr)           on the coarse grid
        gate_rec, gate_sr = sigmoid(weigh(r, s))    for every channel of every cell
        rec' = rec + tell_rec(gate_rec * s)
        sr'  = sr  + tell_sr(gate_sr * r)

    ``tell_rec`` and ``tell_sr`` start at zero: at first the branches do not know of each other,
    and what flows between them later is what training found useful.

    Args:
        width: Number of channels C of each branch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read_rec = nn.Conv2d(width, width, FOLD, stride=FOLD)
        self.read_sr = nn.Conv2d(width, width, FOLD, stride=FOLD)
        self.weigh = nn.Conv2d(2 * width, 2 * width, 1)
        self.tell_rec = Scatter(width)
        self.tell_sr = Scatter(width)

    def forward(self, rec: Tensor, sr: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse features of the two branches, (B, C, H, W) each."""
        r, s = self.read_rec(rec), self.read_sr(sr)
        gates = torch.sigmoid(self.weigh(torch.cat([r, s], dim=1)))
        gate_rec, gate_sr = gates.chunk(2, dim=1)
        return rec + self.tell_rec(gate_rec * s), sr + self.tell_sr(gate_sr * r)


class Scatter(nn.Module):
    """Cells to pixels, every pixel of a cell with weights of its own; zero at initialisation.

    A transposed convolution of stride 4 computes the same. Written as a 1 x 1 convolution and a
    rearrangement of channels-last memory it takes half the time on CPUs (docs/experiments.md).

    Args:
        width: Number of channels C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, FOLD * FOLD * width, 1)
        nn.init.zeros_(self.spread.weight)
        nn.init.zeros_(self.spread.bias)  # type: ignore[arg-type]

    def forward(self, cells: Tensor) -> Tensor:
        """Map (B, C, H/4, W/4) to (B, C, H, W)."""
        b, c, h, w = cells.shape
        pixels = self.spread(cells).permute(0, 2, 3, 1).reshape(b, h, w, FOLD, FOLD, c)
        return pixels.transpose(2, 3).reshape(b, h * FOLD, w * FOLD, c).permute(0, 3, 1, 2)
