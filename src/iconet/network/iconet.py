"""ICONet: the cascade of stages."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from iconet.intensity import robust_scale
from iconet.network.fusion import enlarge
from iconet.network.kspace.consistency import Samples
from iconet.network.kspace.phase import SlowPhase
from iconet.network.rscfl import FOLD, NEAREST
from iconet.network.stage import (
    MULTIPLE,
    Agree,
    SincInterpolation,
    Stage,
    StageOutput,
    stages_for,
)

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 32, "exchanges": 2, "rec_units": 2, "sr_units": 3},
    "base": {"width": 32, "exchanges": 3, "rec_units": 2, "sr_units": 4},
    "large": {"width": 64, "exchanges": 3, "rec_units": 2, "sr_units": 4},
}


class ICONetOutput(NamedTuple):
    """What the network returns.

    Attributes:
        image: (B, c, scale * H, scale * W), the super-resolution image of the last stage.
        stages: Both images of every stage, first to last.
    """

    image: Tensor
    stages: list[StageOutput]


class ICONet(nn.Module):
    """Iterative collaboration of a reconstruction and a super-resolution branch, 2x a stage.

    After Kui et al., IEEE Transactions on Computational Imaging 11:827-838, 2025; the equations are
    ours (the paper's abstract is the contract), chosen by ablation, see docs/experiments.md.

    Args:
        scale: 2, 4 or 8.
        channels: 1 for magnitude images, 2 for complex ones as real and imaginary part.
        width: Channels of each branch.
        exchanges: How often the branches talk in the first stage; before each time, both run one
            RSCFL block. Later stages have four times the pixels each and begin with what the one
            before found: there half as often, rounded up.
        rec_units: Local units in each block of the reconstruction branch.
        sr_units: Local units in each block of the super-resolution branch.
        span: Of networks for complex images: how many cells of the coarse grid the spatial path
            sees at once along the last axis, the phase-encoding direction. Undersampling folds the
            image along that axis: with every fourth line, what lies over a place comes from a
            quarter of the field of view away. What has been unfolded by the first stage needs no
            spatial path in the later ones. Networks for magnitudes see the nearest cells, in all.

    Raises:
        ValueError: If ``scale`` is not 2, 4 or 8, or ``span`` is not odd.
    """

    # What a file of trained weights says of itself, and its hash; set by iconet.load.
    metadata: Mapping[str, str] = MappingProxyType({})
    sha256: str | None = None

    multiple = MULTIPLE  # tiles must begin at multiples of this many low-resolution pixels

    def __init__(
        self,
        scale: int = 2,
        *,
        channels: int = 1,
        width: int = 32,
        exchanges: int = 3,
        rec_units: int = 2,
        sr_units: int = 4,
        span: int = 17,
    ) -> None:
        super().__init__()
        if span < 1 or span % 2 == 0:
            raise ValueError(f"span {span} is not an odd number of cells")
        span = span if channels == 2 else NEAREST
        self.scale = scale
        self.channels = channels
        self.config = {
            "scale": scale,
            "channels": channels,
            "width": width,
            "exchanges": exchanges,
            "rec_units": rec_units,
            "sr_units": sr_units,
            "span": span,
        }
        later = stages_for(scale) - 1
        self.exchanges = [exchanges, *[(exchanges + 1) // 2] * later]  # of each stage
        self.spans = [span, *[0 if span > NEAREST else span] * later]  # of each stage
        self.stages = nn.ModuleList(
            Stage(channels, width, often, rec_units, sr_units, far)
            for often, far in zip(self.exchanges, self.spans, strict=True)
        )
        self.handovers = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(later))
        for handover in self.handovers:
            # At first a later stage sees its image and nothing of the features before it.
            nn.init.zeros_(handover.weight)  # type: ignore[arg-type]
            nn.init.zeros_(handover.bias)  # type: ignore[arg-type]

    @property
    def halo(self) -> int:
        """Low-resolution pixels around a tile beyond which nothing reaches its inner part."""
        # Each 3 x 3 convolution sees one pixel of its grid to each side; a block's coarse grid half
        # its span around its own cell and one more (interpolation), a fusion two pixels of the half
        # grid; a convolution stands at each end.
        reach = 0.0
        for i, (often, span) in enumerate(zip(self.exchanges, self.spans, strict=True)):
            far = (2 + span // 2) * FOLD - 1 if span else 0
            rec = 2 * (2 * self.config["rec_units"] + far)
            sr = 2 * self.config["sr_units"] + far
            reach += (often * (max(rec, sr) + 4) + 4 + SincInterpolation.REACH) / 2**i
        return _cells(math.ceil(reach))

    def forward(
        self,
        lr: Tensor,
        intensity: Tensor | None = None,
        samples: Samples | None = None,
        depth: int | None = None,
    ) -> ICONetOutput:
        """Upscale a batch of slices.

        Args:
            lr: (B, c, H, W) real, any intensity scale, H and W at least 16 (odd sizes too).
            intensity: (B, 1, 1, 1), what the network divides by. Give one value for a whole volume
                so that its slices and tiles are treated alike; by default that of each image,
                :func:`robust_scales`.
            samples: Measured k-space of complex images, on the intensity scale of ``lr``; the
                images then agree with it. Whole slices only: a tile has no k-space of its own.
            depth: Run only so many of the stages, as training does while the cascade grows: the
                image is then 2**depth times as large. All by default.

        Returns:
            The images, on the intensity scale of ``lr``, float32.

        Raises:
            ValueError: If ``lr`` is not (B, c, H, W) with H, W >= 16, or samples do not fit it.
        """
        c = self.channels
        # Sizes are no numbers while the network is traced for other runtimes.
        traced = torch.jit.is_tracing()  # type: ignore[attr-defined]
        if not traced and (lr.ndim != 4 or lr.shape[1] != c or min(lr.shape[2:]) < 16):
            raise ValueError(f"expected (B, {c}, H, W) with H, W >= 16, got {tuple(lr.shape)}")
        if samples is not None and (c != 2 or samples.kspace.shape[-2:] != lr.shape[-2:]):
            raise ValueError("samples need a network with 2 channels and the k-space of its input")
        lr = lr.float()
        if intensity is None:
            intensity = robust_scales(lr)
        image, agree = lr / intensity, None
        phase = SlowPhase(image) if c == 2 else None
        if phase is not None:
            image = phase.remove(image)
            if samples is not None:
                agree = _agreement(phase, samples._replace(kspace=samples.kspace / intensity))

        stages: list[StageOutput] = []
        features: Tensor | None = None
        for i, stage in enumerate(self.stages):
            if i == depth:
                break
            handed: Tensor | None = None
            if features is not None:
                handed = enlarge(self.handovers[i - 1](features), 2)
                handed = handed[..., : _cells(image.shape[-2]), : _cells(image.shape[-1])]
            images, features = stage(image, handed, agree)
            image = images.super_resolution
            if phase is not None:
                images = StageOutput(*map(phase.restore, images))
            stages.append(StageOutput(*(image * intensity for image in images)))
        return ICONetOutput(stages[-1].super_resolution, stages)


def _agreement(phase: SlowPhase, samples: Samples) -> Agree:
    """Consistency of images whose slow phase was removed with samples that still have it."""

    def agree(image: Tensor, consistency: nn.Module) -> Tensor:
        return phase.remove(consistency(phase.restore(image), samples))

    return agree


def _cells(length: int) -> int:
    """The next multiple of whole cells of the coarsest grid."""
    return length + -length % MULTIPLE  # exporters follow this, not math.ceil


def robust_scales(images: Tensor) -> Tensor:
    """Typical bright intensity of each image, which alone brings it to the network's scale.

    Args:
        images: (B, c, H, W) real; two channels are the parts of a complex image.

    Returns:
        (B, 1, 1, 1), positive; see :func:`iconet.intensity.robust_scale`.
    """
    magnitudes = torch.linalg.vector_norm(images.detach().float(), dim=1).cpu().numpy()
    scales = [robust_scale(magnitude[None]) for magnitude in magnitudes]
    return torch.tensor(scales, dtype=torch.float32, device=images.device).view(-1, 1, 1, 1)
