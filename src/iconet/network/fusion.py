"""SR-Rec fusion: prior and super-resolution features are fused with each other.

The paper: in both directions, with weights that adapt to the content. The equations are ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.grids import enlarge


class SRRecFusion(nn.Module):
    """Each branch takes from the other, as much as the content of both at a place suggests.

    The reconstruction branch lives on the half grid, where both meet::

        s = project(mean of 2 x 2 pixels of sr)
        gate_rec, gate_sr = sigmoid(gates(rec, s))     for every channel of every point
        rec' = rec + to_reconstruction(gate_rec * s)
        sr'  = sr  + enlarge(to_super_resolution(gate_sr * rec))

    Both messages start at zero: at first the branches do not know of each other, and what flows
    between them later is what training found useful.

    Args:
        width: Number of channels C of each branch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, width, 1)
        self.gates = nn.Conv2d(2 * width, 2 * width, 1)
        self.to_reconstruction = nn.Conv2d(width, width, 1)
        self.to_super_resolution = nn.Conv2d(width, width, 1)
        for message in (self.to_reconstruction, self.to_super_resolution):
            nn.init.zeros_(message.weight)
            nn.init.zeros_(message.bias)  # type: ignore[arg-type]

    def forward(self, rec: Tensor, sr: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse reconstruction features (B, C, H/2, W/2) and SR features (B, C, H, W)."""
        s = self.project(F.avg_pool2d(sr, 2))
        gates = torch.sigmoid(self.gates(torch.cat([rec, s], dim=1)))
        gate_rec, gate_sr = gates.chunk(2, dim=1)
        message = self.to_super_resolution(gate_sr * rec)
        return rec + self.to_reconstruction(gate_rec * s), sr + enlarge(message, 2)
