"""One stage: a clean image at the input's size and an image twice as large, found together."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.fusion import SRRecFusion
from iconet.network.kspace.consistency import DataConsistency
from iconet.network.rscfl import FOLD, RSCFL

MULTIPLE = 2 * FOLD  # pixels along each side of a cell of the reconstruction branch's coarse grid

Agree = Callable[[Tensor, nn.Module], Tensor]


class StageOutput(NamedTuple):
    """What a stage of the cascade returns.

    Attributes:
        reconstruction: (B, c, H, W), the artifact-free image at the stage's input size (the prior).
        super_resolution: (B, c, 2H, 2W).
    """

    reconstruction: Tensor
    super_resolution: Tensor


class Stage(nn.Module):
    """Reconstruction branch and super-resolution branch side by side, talking several times.

    What makes an image artifact-free is not fine detail but where things are, far and near. So the
    reconstruction branch works on a grid of half as many pixels per axis, at a quarter of the cost
    and seeing twice as far; the detail is the other branch's.

    Where samples may be known (complex images) the reconstruction is written down after every
    exchange, made consistent with them, and read again: the iterations of the collaboration are
    those of an unrolled reconstruction.

    Args:
        channels: Channels of the images: 1, or 2 for complex images.
        width: Channels of each branch.
        exchanges: How often the branches talk; before each, both run one RSCFL block.
        rec_units: Local units in each block of the reconstruction branch.
        sr_units: Local units in each block of the super-resolution branch.
        span: Cells of a row that each block's spatial path sees at once; 0: there is none.
    """

    def __init__(
        self, channels: int, width: int, exchanges: int, rec_units: int, sr_units: int, span: int
    ) -> None:
        super().__init__()
        self.head_rec = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.head_sr = nn.Conv2d(channels, width, 3, padding=1)
        self.rec_blocks = nn.ModuleList(RSCFL(width, rec_units, span) for _ in range(exchanges))
        self.sr_blocks = nn.ModuleList(RSCFL(width, sr_units, span) for _ in range(exchanges))
        self.fusions = nn.ModuleList(SRRecFusion(width) for _ in range(exchanges))
        # Written once, at the end, where no samples can be known.
        writes = exchanges if channels == 2 else 1
        self.write_rec = nn.ModuleList(
            nn.Conv2d(width, 4 * channels, 3, padding=1) for _ in range(writes)
        )
        self.read_rec = nn.ModuleList(
            nn.Conv2d(4 * channels, width, 3, padding=1) for _ in range(writes - 1)
        )
        self.write_sr = nn.Conv2d(width, 4 * channels, 3, padding=1)
        for write in (*self.write_rec, self.write_sr):
            # Training starts near plain interpolation, with small weights, not zeros: a stage that
            # is zero at its end and in its blocks learns slowly at first (docs/experiments.md).
            bound = 0.17 * (9 * width) ** -0.5
            nn.init.uniform_(write.weight, -bound, bound)
            nn.init.zeros_(write.bias)
        self.interpolate = SincInterpolation()
        self.consistency = nn.ModuleList(
            DataConsistency() for _ in range(writes + 1 if channels == 2 else 0)
        )

    def forward(
        self, image: Tensor, handed: Tensor | None, agree: Agree | None
    ) -> tuple[StageOutput, Tensor]:
        """Run the stage.

        Args:
            image: (B, c, H, W).
            handed: (B, C, H', W') features of the stage before, H' and W' the next multiples of 8;
                None in the first.
            agree: Makes an image consistent with measured samples, by a layer for it; None where
                there are none.

        Returns:
            The two images, and the super-resolution features (B, C, H', W') for the next stage.
        """
        rec, sr = self.head_rec(half(image)), self.head_sr(whole_cells(image))
        if handed is not None:
            sr = sr + handed
        shallow, reconstruction = sr, image
        for i, (rec_block, sr_block, fuse) in enumerate(
            zip(self.rec_blocks, self.sr_blocks, self.fusions, strict=True)
        ):
            rec, sr = fuse(rec_block(rec), sr_block(sr))
            last = i == len(self.fusions) - 1
            if last or self.read_rec:
                correction = self.write_rec[-1 if last else i](rec)
                reconstruction = reconstruction + pixels(correction, like=image)
                if agree is not None:
                    reconstruction = agree(reconstruction, self.consistency[i])
            if not last and self.read_rec:
                rec = rec + self.read_rec[i](half(reconstruction))
        sr = sr + shallow
        return StageOutput(reconstruction, self.enlarge(reconstruction, sr, agree)), sr

    def enlarge(self, reconstruction: Tensor, sr: Tensor, agree: Agree | None) -> Tensor:
        """Add to the enlarged reconstruction what the SR features (B, C, H', W') know beyond it.

        Interpolating the reconstruction, not the input, makes the prior carry the SR image.
        """
        enlarged = self.interpolate(reconstruction)
        super_resolution: Tensor = enlarged + pixels(self.write_sr(sr), like=enlarged)
        return super_resolution if agree is None else agree(super_resolution, self.consistency[-1])


def half(image: Tensor) -> Tensor:
    """Blocks of 2 x 2 pixels as channels: (B, c, H, W) to (B, 4c, H'/2, W'/2)."""
    return F.pixel_unshuffle(whole_cells(image), 2)


def pixels(blocks: Tensor, like: Tensor) -> Tensor:
    """Channels as blocks of 2 x 2 pixels, cut to the size of an image.

    float32 whatever precision features have: bfloat16 keeps only 8 bits.
    """
    height, width = like.shape[-2:]
    return F.pixel_shuffle(blocks, 2).float()[..., :height, :width]


def whole_cells(image: Tensor) -> Tensor:
    """Pad to whole cells of the coarsest grid."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")


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


def stages_for(scale: int) -> int:
    """Number of 2x stages for a scale of 2, 4 or 8.

    Raises:
        ValueError: For any other scale.
    """
    if scale not in (2, 4, 8):
        raise ValueError(f"scale {scale} is not one of 2, 4, 8")
    return int(math.log2(scale))
