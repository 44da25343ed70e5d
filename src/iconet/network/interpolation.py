"""The fixed interpolation that every stage adds its details to."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SincInterpolation(nn.Module):
    """Fixed 2x interpolation by a Kaiser-windowed sinc of 13 taps, field of view kept.

    The new voxel centres lie at -1/4 and +1/4 of the old ones. Being local it gives the same on
    patches, tiles and whole slices, which Fourier zero-filling (its limit for an endless kernel)
    does not.

    Computed as products of blocks of 16 pixels with one matrix: convolutions of a single channel
    take ten times as long, a tenth of the whole network.
    """

    REACH = 6  # pixels to each side
    BLOCK = 16

    taps: Tensor  # (2, 13): one row for each of the two new positions
    block: Tensor  # (16 + 2 * 6, 32): from a block and what is around it to the new block

    def __init__(self) -> None:
        super().__init__()
        # On the CPU even where weights are made without memory (iconet.zoo): these are no weights,
        # and torch imports 800 modules to count without memory.
        cpu = torch.device("cpu")
        offsets = torch.arange(-self.REACH, self.REACH + 1, dtype=torch.float64, device=cpu)
        phases = []
        for shift in (-0.25, 0.25):
            x = offsets - shift
            inside = (1 - (x / (self.REACH + 0.5)) ** 2).clamp(min=0)
            window = torch.special.i0(6.0 * inside.sqrt())
            phase = torch.sinc(x) * window
            phases.append(phase / phase.sum())
        taps = torch.stack(phases).float()
        block = torch.zeros(self.BLOCK + 2 * self.REACH, self.BLOCK, 2, device=cpu)
        for pixel in range(self.BLOCK):
            block[pixel : pixel + taps.shape[1], pixel] = taps.T
        self.register_buffer("taps", taps, persistent=False)
        self.register_buffer("block", block.flatten(1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) float32 to (B, c, 2H, 2W)."""
        with torch.autocast(image.device.type, enabled=False):
            wide = self._along_rows(image).transpose(2, 3)
            return self._along_rows(wide).transpose(2, 3)

    def _along_rows(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) to (B, c, H, 2W)."""
        *others, width = image.shape
        count = (width + self.BLOCK - 1) // self.BLOCK
        after = (count + 1) * self.BLOCK - width - self.REACH
        padded = F.pad(image, (self.REACH, after, 0, 0), mode="replicate")
        blocks = padded.reshape(*others, count + 1, self.BLOCK)
        around = torch.cat([blocks[..., :-1, :], blocks[..., 1:, : 2 * self.REACH]], dim=-1)
        return (around @ self.block).reshape(*others, -1)[..., : 2 * width]
