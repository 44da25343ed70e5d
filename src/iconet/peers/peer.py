"""Equal conditions: what every peer has around its architecture."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network import DataConsistency, ICONetOutput, Samples, StageOutput
from iconet.network.config import stages_for
from iconet.network.iconet import robust_scales
from iconet.network.interpolation import SincInterpolation
from iconet.network.kspace.phase import SlowPhase


class Peer(nn.Module):
    """An architecture under the conditions of ICONet: intensities, skip, phase, consistency.

    The architecture maps a normalised image (B, c, H, W) to what is added to its fixed
    interpolation, (B, c, scale H, scale W). One that also reconstructs returns with it, as a
    second tensor, what is added to the image itself, (B, c, H, W).

    Args:
        architecture: Such a module.
        scale: 2, 4 or 8.
        channels: 1 for magnitude images, 2 for complex ones as real and imaginary part.
        multiple: The architecture takes sides that are multiples of this many pixels; others are
            padded with their edge values and cut off after.
        width: Number of features at the input's size, from which memory is estimated.
    """

    # What a file of trained weights says of itself, and its hash.
    metadata: Mapping[str, str] = MappingProxyType({})
    sha256: str | None = None

    halo = 32
    """Context in pixels that a tile gets where a whole slice does not fit. Networks with averages
    over the whole image have no exact tiles: whole slices are better."""

    def __init__(
        self,
        architecture: nn.Module,
        *,
        scale: int,
        channels: int,
        multiple: int = 1,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.multiple = multiple
        self.width = width
        self.architecture = architecture
        self.interpolate = Interpolation(scale)
        self.consistency = DataConsistency() if channels == 2 else None

    def forward(
        self, lr: Tensor, intensity: Tensor | None = None, samples: Samples | None = None
    ) -> ICONetOutput:
        """Upscale a batch of slices.

        Args:
            lr: (B, c, H, W) real, any intensity scale.
            intensity: (B, 1, 1, 1), what the network divides by; by default ``robust_scales``.
            samples: Measured k-space of complex images, on the intensity scale of ``lr``; the
                final image then agrees with it.

        Returns:
            The image, on the intensity scale of ``lr``, float32. One stage if the architecture
            also reconstructs, with images of H x W and scale H x scale W; else none.

        Raises:
            ValueError: If ``lr`` is not (B, c, H, W), or samples do not fit it.
        """
        if lr.ndim != 4 or lr.shape[1] != self.channels:
            raise ValueError(f"expected (B, {self.channels}, H, W), got {tuple(lr.shape)}")
        if samples is not None and (
            self.consistency is None or samples.kspace.shape[-2:] != lr.shape[-2:]
        ):
            raise ValueError("samples need a network with 2 channels and the k-space of its input")
        lr = lr.float()
        if intensity is None:
            intensity = robust_scales(lr)
        height, width = lr.shape[2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        phase = SlowPhase(lr) if self.channels == 2 else None
        plain = lr / intensity if phase is None else phase.remove(lr / intensity)
        normal = F.pad(plain, padding, mode="replicate")

        added = self.architecture(normal)
        detail, change = added if isinstance(added, tuple) else (added, None)
        # Images are float32 whatever precision the features have: bfloat16 keeps only 8 bits.
        image = self.interpolate(normal) + detail.float()
        images = [image[..., : height * self.scale, : width * self.scale]]
        if change is not None:
            images.append(plain + change.float()[..., :height, :width])
        if phase is not None:
            images = [phase.restore(image) for image in images]
        final, *reconstruction = (image * intensity for image in images)
        if samples is not None and self.consistency is not None:
            final = self.consistency(final, samples)
        return ICONetOutput(final, [StageOutput(each, final) for each in reconstruction])


class Interpolation(nn.Module):
    """The fixed interpolation of ICONet's stages, as often as the scale needs.

    Args:
        scale: 2, 4 or 8.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.twice = nn.Sequential(*(SincInterpolation() for _ in range(stages_for(scale))))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) float32 to (B, c, scale H, scale W)."""
        enlarged: Tensor = self.twice(image)
        return enlarged


def start_small(tail: nn.Conv2d) -> nn.Conv2d:
    """Initialise the last convolution as ICONet's tails: training starts near interpolation.

    Small weights and not zeros, so that gradients pass from the first step on.
    """
    with torch.no_grad():
        tail.weight.normal_(std=0.1 * tail.weight[0].numel() ** -0.5)
        if tail.bias is not None:
            tail.bias.zero_()
    return tail
