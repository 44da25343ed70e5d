"""One stage: a clean image at the input's size and an image twice as large, found together."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.consistency import DataConsistency, Samples
from iconet.network.fusion import SRRecFusion
from iconet.network.rscfl import RSCFL


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

    Args:
        channels: Channels of the images: 1, or 2 for complex images.
        width: Channels of each branch.
        exchanges: How often the branches talk; before each, both run one RSCFL block.
        rec_units: Local units in each block of the reconstruction branch.
        sr_units: Local units in each block of the super-resolution branch.
    """

    def __init__(
        self, channels: int, width: int, exchanges: int, rec_units: int, sr_units: int
    ) -> None:
        super().__init__()
        self.head_rec = nn.Conv2d(channels, width, 3, padding=1)
        self.head_sr = nn.Conv2d(channels, width, 3, padding=1)
        self.rec_blocks = nn.ModuleList(RSCFL(width, rec_units) for _ in range(exchanges))
        self.sr_blocks = nn.ModuleList(RSCFL(width, sr_units) for _ in range(exchanges))
        self.fusions = nn.ModuleList(SRRecFusion(width) for _ in range(exchanges))
        self.tail_rec = nn.Conv2d(width, channels, 3, padding=1)
        self.tail_sr = nn.Conv2d(width, 4 * channels, 3, padding=1)
        for tail in (self.tail_rec, self.tail_sr):
            # Training starts near plain interpolation, with small weights, not zeros: a stage that
            # is zero at its end and in its blocks learns slowly at first (docs/experiments.md).
            nn.init.normal_(tail.weight, std=0.1 * (9 * width) ** -0.5)
            nn.init.zeros_(tail.bias)  # type: ignore[arg-type]
        self.interpolate = SincInterpolation()
        self.consistency = (
            nn.ModuleList(DataConsistency() for _ in range(2)) if channels == 2 else None
        )

    def forward(
        self, image: Tensor, handed: Tensor | None = None, samples: Samples | None = None
    ) -> tuple[StageOutput, Tensor]:
        """Run the stage.

        Args:
            image: (B, c, H, W), H and W multiples of 4.
            handed: (B, C, H, W) features of the stage before, None in the first.
            samples: Measured k-space, with which both images agree in the end.

        Returns:
            The two images, and the super-resolution features (B, C, H, W) for the next stage.
        """
        rec, sr = self.head_rec(image), self.head_sr(image)
        if handed is not None:
            rec, sr = rec + handed, sr + handed
        shallow = sr
        for rec_block, sr_block, fuse in zip(
            self.rec_blocks, self.sr_blocks, self.fusions, strict=True
        ):
            rec, sr = fuse(rec_block(rec), sr_block(sr))
        sr = sr + shallow
        # The images are float32 whatever precision the features have: bfloat16 keeps only 8 bits.
        reconstruction = image + self.tail_rec(rec).float()
        detail = F.pixel_shuffle(self.tail_sr(sr), 2).float()
        if samples is not None and self.consistency is not None:
            reconstruction = self.consistency[0](reconstruction, samples)
        # Interpolating the reconstruction, not the input, makes the prior carry the SR image.
        super_resolution = self.interpolate(reconstruction) + detail
        if samples is not None and self.consistency is not None:
            super_resolution = self.consistency[1](super_resolution, samples)
        return StageOutput(reconstruction, super_resolution), sr


class SincInterpolation(nn.Module):
    """Fixed 2x interpolation by a Kaiser-windowed sinc of 13 taps, field of view kept.

    The new voxel centres lie at -1/4 and +1/4 of the old ones. Being local it gives the same on
    patches, tiles and whole slices, which Fourier zero-filling (its limit for an endless kernel)
    does not.
    """

    REACH = 6  # pixels to each side

    taps: Tensor  # (2, 13): one row for each of the two new positions

    def __init__(self) -> None:
        super().__init__()
        offsets = torch.arange(-self.REACH, self.REACH + 1, dtype=torch.float64)
        phases = []
        for shift in (-0.25, 0.25):
            x = offsets - shift
            inside = (1 - (x / (self.REACH + 0.5)) ** 2).clamp(min=0)
            window = torch.special.i0(6.0 * inside.sqrt())
            phase = torch.sinc(x) * window
            phases.append(phase / phase.sum())
        self.register_buffer("taps", torch.stack(phases).float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) float32 to (B, c, 2H, 2W)."""
        batch, channels, height, width = image.shape
        with torch.autocast(image.device.type, enabled=False):
            padded = F.pad(image.flatten(0, 1)[:, None], (self.REACH,) * 4, mode="replicate")
            rows = F.conv2d(padded, self.taps[:, None, :, None]).flatten(0, 1)[:, None]
            both = F.conv2d(rows, self.taps[:, None, None, :])
            return F.pixel_shuffle(both.reshape(batch, 4 * channels, height, width), 2)


def stages_for(scale: int) -> int:
    """Number of 2x stages for a scale of 2, 4 or 8.

    Raises:
        ValueError: For any other scale.
    """
    if scale not in (2, 4, 8):
        raise ValueError(f"scale {scale} is not one of 2, 4, 8")
    return int(math.log2(scale))
