"""The random mix of acquisitions that training images go through."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from iconet.physics.blur import blur_and_resample, gaussian_blur
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace, low_resolution_size, resize_kspace
from iconet.physics.mixture import Mixture
from iconet.physics.window import Window, apply_window

# From a light taper to a full Hann window: the range of scanners' own filters.
_TAPER = (0.1, 1.0)
_WINDOWS = (Window("hamming"), Window("fermi"), Window("none", radial=True))
# Full width of the point spread in low-resolution voxels; an ideal k-space crop has 1.2.
_FWHM = (0.8, 1.4)
# The same where blocks are averaged after the blur, which widens it.
_FWHM_AVERAGED = (0.3, 1.0)
# Voxels of the grid that an image was interpolated from, as a share of those it has.
_ACQUIRED = (0.6, 1.0)


@dataclass(frozen=True)
class DegradationMix(Mixture):
    """Turns clean magnitude images into low-resolution ones, each by a way chosen at random.

    Calling it draws for every image one way of losing resolution and, for some, noise. The result
    is a magnitude, taken once at the end, as a scanner's image is; a mix of `kspace` alone without
    noise gives `crop_kspace(clean, factor).abs()`.

    Attributes:
        kspace: relative weight of the plain centre crop of k-space.
        windowed: of a crop weighed by a console's window: a taper over a random share of the band
            (Tukey; all of it is Hann), Hamming, Fermi or the elliptical shutter.
        blurred: of a Gaussian blur, about a low-resolution voxel wide, sampled block-centred, or
            narrower and averaged over blocks.
        averaged: of the block mean (a rectangular voxel profile).
        resampled: of what programs make small images with: cubic or linear interpolation, widened
            against aliasing.
        interpolated: of a crop to even fewer voxels, brought back by linear or cubic interpolation:
            scans that were conformed or registered.
        noise_probability: share of the images that receive Rician noise, 0 to 1.
        noise_max: their noise level is uniform between 0 and this share of `scale`.

    Raises:
        InputError: for a negative weight, no positive weight, or noise out of range.
    """

    name: ClassVar[str] = "degradation"
    ways: ClassVar[tuple[str, ...]] = (
        *("kspace", "windowed", "blurred", "averaged"),
        *("resampled", "interpolated"),
    )

    kspace: float = 0.6
    windowed: float = 0.15
    blurred: float = 0.15
    averaged: float = 0.1
    resampled: float = 0.0
    interpolated: float = 0.0
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
        size = low_resolution_size(clean, factor)
        # As many numbers for every image whatever its way, so that images stay independent.
        draws = torch.rand(5, len(clean), generator=generator, device=generator.device)
        lower = (_crop, _windowed, _blurred, _averaged, _resampled, _interpolated)
        low = clean.new_empty(*clean.shape[:-2], *size)
        ways, kinds, strengths = (row.tolist() for row in (self.pick(draws[0]), *draws[1:3]))
        for index, (way, kind, strength) in enumerate(zip(ways, kinds, strengths, strict=True)):
            low[index] = lower[way](clean[index][None], factor, kind, strength)[0]
        return self.noisy(low, draws[3:], generator, scale)


# Each: clean (1, 1, H, W), factor, and two random numbers in [0, 1): which kind, and how strong.


def _crop(clean: Tensor, factor: int, kind: float, strength: float) -> Tensor:
    return crop_kspace(clean, factor)


def _windowed(clean: Tensor, factor: int, kind: float, strength: float) -> Tensor:
    if kind < 0.4:
        size = low_resolution_size(clean, factor)
        return resize_kspace(clean, size, _between(_TAPER, strength))
    window = _WINDOWS[int((kind - 0.4) / 0.6 * len(_WINDOWS))]
    return ifft2c(apply_window(fft2c(crop_kspace(clean, factor)), window)).real


def _blurred(clean: Tensor, factor: int, kind: float, strength: float) -> Tensor:
    if kind < 0.5:
        return blur_and_resample(clean, factor, factor * _between(_FWHM, strength))
    blurred = gaussian_blur(clean, factor * _between(_FWHM_AVERAGED, strength))
    return F.avg_pool2d(blurred, factor)


def _averaged(clean: Tensor, factor: int, kind: float, strength: float) -> Tensor:
    return F.avg_pool2d(clean, factor)


def _resampled(clean: Tensor, factor: int, kind: float, strength: float) -> Tensor:
    return _interpolate(clean, low_resolution_size(clean, factor), cubic=kind < 0.6)


def _interpolated(clean: Tensor, factor: int, kind: float, strength: float) -> Tensor:
    size = low_resolution_size(clean, factor)
    acquired = tuple(max(1, round(side * _between(_ACQUIRED, strength))) for side in size)
    return _interpolate(resize_kspace(clean, acquired), size, cubic=kind < 0.5)  # type: ignore[arg-type]


def _interpolate(image: Tensor, size: tuple[int, int], *, cubic: bool) -> Tensor:
    """Field of view kept."""
    mode = "bicubic" if cubic else "bilinear"
    return F.interpolate(image, size, mode=mode, align_corners=False, antialias=True)


def _between(limits: tuple[float, float], share: float) -> float:
    low, high = limits
    return low + (high - low) * share
