"""ICONet: the cascade of stages, after the paper.

Kui, Ji, Zou, Li, Dai, Chen, Vera, Ruan: Iterative Collaboration Network Guided by Reconstruction
Prior for Medical Image Super-Resolution, IEEE Transactions on Computational Imaging 11:827-838,
2025. The abstract is the contract; the equations are ours, chosen by ablation
(docs/experiments).
"""

import copy
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from iconet.intensity import robust_scale
from iconet.network.config import ICONetConfig
from iconet.network.description import Description, Way
from iconet.network.description import strengths as image_strengths
from iconet.network.grids import MULTIPLE, enlarge_to_cells, halo
from iconet.network.interval import AtPoints, IntervalHead
from iconet.network.kspace.consistency import EnforceConsistency, Samples
from iconet.network.kspace.phase import SlowPhase
from iconet.network.stage import Stage, StageOutput
from iconet.network.trust import Trust, pooled


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

    Args:
        scale: 2, 4 or 8.
        settings: Of :class:`ICONetConfig`; those not given as :meth:`ICONetConfig.default` has
            them.

    Attributes:
        config: All settings.
        scale, channels, width: Three of them.

    Raises:
        ValueError: If a setting is impossible.
    """

    # What a file of trained weights says of itself, and its hash; set by iconet.load.
    metadata: Mapping[str, str] = MappingProxyType({})
    sha256: str | None = None
    trust: Trust | None = None

    multiple = MULTIPLE  # tiles must begin at multiples of this many low-resolution pixels

    def __init__(self, scale: int = 2, **settings: Any) -> None:
        super().__init__()
        self.config = config = ICONetConfig.default(scale, **settings)
        self.scale, self.channels, self.width = config.scale, config.channels, config.width
        self.stages = nn.ModuleList(Stage(config, number) for number in range(config.stages))
        self.handovers = nn.ModuleList(
            nn.Conv2d(self.width, self.width, 1) for _ in range(config.stages - 1)
        )
        self.describe = Description(config.described) if config.described else None
        self.way = Way() if config.described else None
        # Trained after the network, see `iconet.network.interval`; not a part of its weights.
        self.interval_head: IntervalHead | AtPoints | None = None
        for handover in self.handovers:
            # At first a later stage sees its image and nothing of the features before it.
            nn.init.zeros_(handover.weight)  # type: ignore[arg-type]
            nn.init.zeros_(handover.bias)  # type: ignore[arg-type]

    @property
    def halo(self) -> int:
        """Low-resolution pixels around a tile beyond which nothing reaches its inner part."""
        return halo(self.config, 0 if self.interval_head is None else IntervalHead.REACH)

    def first_exchange(self, images: Tensor) -> Tensor:
        """What the branches told each other first, pooled: for telling familiar images.

        Args:
            images: (B, 1, H, W), between nothing, 0, and something bright, 1.

        Returns:
            (B, 4 * width), see `iconet.network.trust.pooled`.
        """
        description = None if self.describe is None else self.describe(image_strengths(images))
        first: Any = self.stages[0]
        return torch.cat(
            [pooled(each) for each in first.first_exchange(images, description)], dim=1
        )

    def with_head(self, head: IntervalHead | AtPoints) -> "ICONet":
        """This network with a head for intervals: the same weights, not a copy of them."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.interval_head = head
        return other

    def forward(
        self,
        lr: Tensor,
        intensity: Tensor | None = None,
        samples: Samples | None = None,
        depth: int | None = None,
        strengths: Tensor | None = None,
    ) -> ICONetOutput:
        """Upscale a batch of slices.

        Args:
            lr: (B, c, H, W) real, any intensity scale, H and W at least 16 (odd sizes too).
            intensity: (B, 1, 1, 1), what the network divides by. Give all tiles of a slice the same
                value, so that they are treated alike. By default a robust scale of each image.
            samples: Measured k-space of complex images, on the intensity scale of ``lr``. The
                images then agree with it. Whole slices only: a tile has no k-space of its own.
            depth: Run only this many stages, as training does while the cascade grows. The image is
                then 2**depth times as large. All by default.
            strengths: For networks that get a description of the image: that of the whole slice, so
                that its tiles are treated alike (`iconet.network.description`). By default that of
                ``lr``.

        Returns:
            The images, on the intensity scale of ``lr``, float32.

        Raises:
            ValueError: If ``lr`` is not (B, c, H, W) with H, W >= 16, or samples do not fit it.
        """
        _check(lr, samples, self.channels)
        lr = lr.float()
        if intensity is None:
            intensity = robust_scales(lr)
        image = lr / intensity
        if self.channels == 2:
            phase, enforce = SlowPhase(image), None
            if samples is not None:
                samples = samples._replace(kspace=samples.kspace / intensity)
                enforce = EnforceConsistency(samples, phase)
            found = self.cascade(phase.remove(image), enforce, depth)
            found = (images.each(phase.restore) for images in found)
        else:
            description = None
            if self.describe is not None:
                told = image_strengths(image) if strengths is None else strengths
                description = self.describe(told)
            found = self.cascade(image, None, depth, description)
        stages = [images.each(lambda image: image * intensity) for images in found]
        if (distances := stages[-1].interval) is not None:
            stages[-1] = stages[-1]._replace(interval=distances * intensity)
        return ICONetOutput(stages[-1].super_resolution, stages)

    def cascade(
        self,
        image: Tensor,
        enforce: EnforceConsistency | None,
        depth: int | None,
        description: Tensor | None = None,
    ) -> Iterator[StageOutput]:
        """Run stage after stage, each on the image of the one before and with its features."""
        features: Tensor | None = None
        for i, stage in enumerate(self.stages):
            if i == depth:
                break
            if features is not None:
                features = enlarge_to_cells(self.handovers[i - 1](features), like=image)
            images, features = stage(image, features, enforce, description)
            if self.interval_head is not None and i == len(self.stages) - 1:
                found = self.interval_head(features, images.super_resolution)
                images = images._replace(interval=found)
            yield images
            image = images.super_resolution


def _check(lr: Tensor, samples: Samples | None, channels: int) -> None:
    """Refuse what the network cannot take."""
    # Sizes are no numbers while the network is traced for other runtimes.
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined]
    if not traced and (lr.ndim != 4 or lr.shape[1] != channels or min(lr.shape[2:]) < 16):
        raise ValueError(f"expected (B, {channels}, H, W) with H, W >= 16, got {tuple(lr.shape)}")
    if samples is not None and (channels != 2 or samples.kspace.shape[-2:] != lr.shape[-2:]):
        raise ValueError("samples need a network with 2 channels and the k-space of its input")


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
