"""The random mix of acquisitions that training images go through."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from iconet.physics.blur import blur_and_resample
from iconet.physics.kspace import crop_kspace, low_resolution_size, resize_kspace
from iconet.physics.mixture import Mixture

# From a light taper to a full Hann window: the range of scanners' own filters.
_WINDOW = (0.1, 1.0)
# Full width of the point spread in low-resolution voxels; an ideal k-space crop has 1.2.
_FWHM = (0.8, 1.4)


@dataclass(frozen=True)
class DegradationMix(Mixture):
    """Turns clean magnitude images into low-resolution ones, each by a way chosen at random.

    Calling it draws for every image one way of losing resolution and, for some, noise. The result
    is a magnitude, taken once at the end, as a scanner's image is; a mix of `kspace` alone without
    noise gives `crop_kspace(clean, factor).abs()`.

    Attributes:
        kspace: relative weight of the plain centre crop of k-space.
        windowed: of a crop whose outer band is tapered, by a random share of it.
        blurred: of a Gaussian blur, about a low-resolution voxel wide, sampled block-centred.
        averaged: of the block mean (a rectangular voxel profile).
        noise_probability: share of the images that receive Rician noise, 0 to 1.
        noise_max: their noise level is uniform between 0 and this share of `scale`.

    Raises:
        InputError: for a negative weight, no positive weight, or noise out of range.
    """

    name: ClassVar[str] = "degradation"
    ways: ClassVar[tuple[str, ...]] = ("kspace", "windowed", "blurred", "averaged")

    kspace: float = 0.6
    windowed: float = 0.15
    blurred: float = 0.15
    averaged: float = 0.1
    noise_probability: float = 0.5
    noise_max: float = 0.03

    def __call__(
        self, clean: Tensor, factor: int, generator: torch.Generator, scale: Tensor
    ) -> Tensor:
        """Degrades a batch; the same generator state gives the same result.

        Args:
            clean: (B, 1, H, W), real, >= 0; `factor` divides H and W.
            factor: how many times fewer voxels per axis.
            generator: source of randomness; may live on another device than `clean`.
            scale: (B, 1, 1, 1), the intensity that noise levels are relative to.

        Returns:
            (B, 1, H/factor, W/factor), >= 0.

        Raises:
            InputError: where `factor` does not divide both sizes.
        """
        batch = clean.shape[0]
        size = low_resolution_size(clean, factor)
        # As many numbers for every image whatever its way, so that images stay independent.
        draws = torch.rand(4, batch, generator=generator, device=generator.device)
        way = self.pick(draws[0])
        strength = draws[1].to(clean).reshape(batch, 1, 1, 1)
        window = _WINDOW[0] + (_WINDOW[1] - _WINDOW[0]) * strength
        fwhm = factor * (_FWHM[0] + (_FWHM[1] - _FWHM[0]) * strength)

        low = clean.new_empty(*clean.shape[:-2], *size)
        lower = (
            lambda image, _: crop_kspace(image, factor),
            lambda image, chosen: resize_kspace(image, size, window[chosen]),
            lambda image, chosen: blur_and_resample(image, factor, fwhm[chosen]),
            lambda image, _: torch.nn.functional.avg_pool2d(image, factor),
        )
        for index, operator in enumerate(lower):
            chosen = (way == index).nonzero().flatten().to(clean.device)
            if len(chosen):
                low[chosen] = operator(clean[chosen], chosen)

        return self.noisy(low, draws[2:], generator, scale)
