"""The slices of a volume through the exported network, with MONAI only."""

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import SliceInferer


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
        data = image.as_tensor().float()
        enlarged = torch.stack([self.volume(channel) for channel in data])
        factors = [1 if axis == self.across else self.scale for axis in range(3)]
        return MetaTensor(enlarged, affine=finer(image.affine, factors), meta=image.meta)

    def volume(self, volume: torch.Tensor) -> torch.Tensor:
        """Map (I, J, K) to the finer grid; its slices share one scale of intensity."""
        dark = dark_level(volume)
        volume = volume - dark
        intensity = torch.full((1, 1, 1, 1), robust_scale(volume), device=self.device)
        sides = [size for axis, size in enumerate(volume.shape) if axis != self.across]
        inferer = SliceInferer(
            spatial_dim=self.across,
            roi_size=[max(16, side) for side in sides],  # whole slices, at least of this size
            sw_batch_size=self.batch,
            padding_mode="replicate",
            sw_device=self.device,
            device="cpu",
        )

        def enlarge(slices: torch.Tensor) -> torch.Tensor:
            return self.network(slices, intensity.expand(len(slices), 1, 1, 1))

        with torch.inference_mode():
            return inferer(volume[None, None], enlarge)[0, 0] + dark


def robust_scale(volume: torch.Tensor) -> float:
    """The 99.5th percentile of the magnitudes above the mean magnitude."""
    magnitude = volume.abs()
    bright = magnitude[magnitude > magnitude.double().mean()]
    if bright.numel() == 0:
        return float(magnitude.max()) or 1.0
    return float(bright.kthvalue(max(1, round(0.995 * bright.numel()))).values)


def dark_level(volume: torch.Tensor) -> float:
    """The value that stands for nothing: 0, or the 5th percentile of signed values if negative."""
    if volume.min() >= 0:
        return 0.0
    return min(0.0, float(np.percentile(volume.numpy(), 5)))


def finer(affine: torch.Tensor, factors: list[int]) -> torch.Tensor:
    """The affine of a grid with more voxels over the same field of view."""
    ratio = 1 / torch.tensor(factors, dtype=affine.dtype)
    new = affine.clone()
    new[:3, :3] = affine[:3, :3] * ratio
    new[:3, 3] = affine[:3, 3] + affine[:3, :3] @ ((ratio - 1) / 2)
    return new
