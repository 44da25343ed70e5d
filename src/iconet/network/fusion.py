"""SR-Rec fusion: the two branches tell each other what they found."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SRRecFusion(nn.Module):
    """Each branch takes from the other, as much as the content of both at a place suggests.

    The reconstruction branch lives on a grid of half as many pixels per axis, where both meet::

        s = read(mean of 2 x 2 pixels of sr)        on the half grid
        gate_rec, gate_sr = sigmoid(weigh(rec, s))  for every channel of every pixel of it
        rec' = rec + tell_rec(gate_rec * s)
        sr'  = sr  + enlarge(tell_sr(gate_sr * rec))

    ``tell_rec`` and ``tell_sr`` start at zero: at first the branches do not know of each other,
    and what flows between them later is what training found useful.

    Args:
        width: Number of channels C of each branch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(width, width, 1)
        self.weigh = nn.Conv2d(2 * width, 2 * width, 1)
        self.tell_rec = nn.Conv2d(width, width, 1)
        self.tell_sr = nn.Conv2d(width, width, 1)
        for tell in (self.tell_rec, self.tell_sr):
            nn.init.zeros_(tell.weight)
            nn.init.zeros_(tell.bias)  # type: ignore[arg-type]

    def forward(self, rec: Tensor, sr: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse reconstruction features (B, C, H/2, W/2) and SR features (B, C, H, W)."""
        s = self.read(F.avg_pool2d(sr, 2))
        gates = torch.sigmoid(self.weigh(torch.cat([rec, s], dim=1)))
        gate_rec, gate_sr = gates.chunk(2, dim=1)
        told = self.tell_sr(gate_sr * rec)
        return rec + self.tell_rec(gate_rec * s), sr + enlarge(told, 2)


def enlarge(features: Tensor, factor: int) -> Tensor:
    """Bilinear between pixel centres: what comes from a coarser grid must not show it.

    Of what brings a coarse grid back to pixels this costs least (docs/experiments.md, row 5).
    """
    return F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
