"""SR-Rec fusion: the two branches tell each other what they found."""

import torch
from torch import Tensor, nn


class SRRecFusion(nn.Module):
    """Each branch takes from the other, as much as the content of both at a pixel suggests.

    ::

        gate_rec, gate_sr = sigmoid(weigh(rec, sr))
        rec' = rec + to_rec(gate_rec * sr)
        sr'  = sr  + to_sr(gate_sr * rec)

    ``to_rec`` and ``to_sr`` start at zero: the branches begin as strangers, and what flows between
    them is what training found useful.

    Args:
        width: Number of channels C of each branch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2 * width, 2 * width, 1)
        self.to_rec = nn.Conv2d(width, width, 1)
        self.to_sr = nn.Conv2d(width, width, 1)
        for projection in (self.to_rec, self.to_sr):
            for parameter in projection.parameters():
                nn.init.zeros_(parameter)

    def forward(self, rec: Tensor, sr: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse features of the reconstruction and super-resolution branches, (B, C, H, W) each."""
        gates = torch.sigmoid(self.weigh(torch.cat([rec, sr], dim=1)))
        gate_rec, gate_sr = gates.chunk(2, dim=1)
        return rec + self.to_rec(gate_rec * sr), sr + self.to_sr(gate_sr * rec)
