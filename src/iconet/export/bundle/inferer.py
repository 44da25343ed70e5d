"""The slices of a volume through the exported network, with MONAI only."""

import torch
import torch.nn.functional as F
from monai.data import MetaTensor

from .fidelity import SPIKE, flat_background, keep_to_slice, levels_of_slice, repeated

SMALLEST = 16
"""Voxels along each side of the slices that the network takes, at least."""


class Upscale:
    """Makes the slices of volumes `scale` times larger over the same field of view.

    Args:
        network: `enlarged = network(image, intensity)`, TorchScript.
        scale: How many times more pixels along both axes of a slice.
        across: Voxel axis across the slices, 0, 1 or 2.
        batch: Slices that go through the network together.
        device: Where the network is.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        scale: int,
        across: int = 2,
        batch: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.scale, self.across = network, scale, across
        self.batch, self.device = batch, device

    def __call__(self, image: MetaTensor) -> MetaTensor:
        """Map (C, I, J, K), of which each channel is a volume, to a finer grid."""
        data = image.as_tensor().float().cpu()
        enlarged = torch.stack([self.volume(channel) for channel in data])
        factors = [1 if axis == self.across else self.scale for axis in range(3)]
        return MetaTensor(enlarged, affine=finer(image.affine, factors), meta=image.meta)

    def volume(self, volume: torch.Tensor) -> torch.Tensor:
        """Map (I, J, K) to the finer grid; each slice has a scale of intensity of its own."""
        parts = volume.movedim(self.across, 0).split(self.batch)
        with torch.inference_mode():
            return torch.cat([self.slices(part) for part in parts]).movedim(0, self.across)

    def slices(self, slices: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w) to (B, scale h, scale w), which agrees with the slices."""
        levels = torch.tensor([levels_of_slice(image) for image in slices])
        dark, bright = levels[:, :, None, None].unbind(dim=1)
        span = torch.where(bright > dark, bright - dark, 1)  # equal in constant slices
        scaled = (slices - dark) / span
        low = scaled.clamp(*SPIKE)
        high = self.predict(low)
        for number, image in enumerate(slices):
            background = flat_background(image)
            beyond = (scaled - low)[number]
            found = keep_to_slice(low[number], high[number], background, beyond)
            # To the last bit, which the scaling may have changed.
            found = (found * span[number] + dark[number]).clamp(min=image.min())
            masked = repeated(background, self.scale)
            high[number] = torch.where(masked, repeated(image, self.scale), found)
        return high

    def predict(self, slices: torch.Tensor) -> torch.Tensor:
        """The network's answer to slices between 0 and 1, (B, h, w), padded to what it takes."""
        height, width = slices.shape[1:]
        padding = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        given = F.pad(slices[:, None], padding, mode="replicate").to(self.device)
        intensity = torch.ones(len(slices), 1, 1, 1, device=self.device)
        enlarged = self.network(given, intensity)[:, 0].cpu()
        return enlarged[:, : self.scale * height, : self.scale * width]


def finer(affine: torch.Tensor, factors: list[int]) -> torch.Tensor:
    """The affine of a grid with more voxels over the same field of view."""
    ratio = 1 / torch.tensor(factors, dtype=affine.dtype)
    new = affine.clone()
    new[:3, :3] = affine[:3, :3] * ratio
    new[:3, 3] = affine[:3, 3] + affine[:3, :3] @ ((ratio - 1) / 2)
    return new
