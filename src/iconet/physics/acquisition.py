"""The joint task's acquisition: few voxels and few lines of k-space, both with noise."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.physics.coil_array import coil_array
from iconet.physics.coils import centre_lines, combine, folded, sensitivities
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace
from iconet.physics.noise import complex_noise
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.undersampling import cartesian_mask


class Measured(NamedTuple):
    """What an acquisition measured.

    Attributes:
        image: (B, 1, h, w) complex, the zero-filled reconstruction: ``ifft2c(kspace)``; of several
            coils what networks begin with, `iconet.physics.coils.folded`.
        kspace: (B, C, h, w) complex, `fft2c` of the noisy low-resolution image, as each coil sees
            it, where it was measured, 0 elsewhere.
        mask: (B, 1, 1, w) bool, True for the lines that were measured.
        phase: (B, 1, H, W) in radians, what the clean image was given at its full size.
        maps: (B, C, h, w) complex, sensitivities found in the centre of k-space, with the phase
            that the coils had for the image; None of one coil.
    """

    image: Tensor
    kspace: Tensor
    mask: Tensor
    phase: Tensor
    maps: Tensor | None = None


@dataclass(frozen=True)
class Acquisition:
    """Simulates low-resolution, accelerated, noisy scans of clean magnitude images.

    Every image receives a smooth random phase, is reduced to the centre of its k-space and measured
    along the lines of its own Cartesian mask, the last axis being the phase-encoding direction.
    Noise is white, in what was measured only; the transform being orthonormal, its standard
    deviation in k-space is that of a fully sampled low-resolution image.

    Attributes:
        acceleration: smallest and largest acceleration, uniform between; equal for a fixed one.
        centre_fraction: share of the lines in the fully sampled centre.
        mask: kind of mask, see `cartesian_mask`; "either" is one of both for each image.
        noise_min: smallest noise level, as a share of `scale`.
        noise_max: largest noise level; levels are uniform between.
        coils: fewest and most coils, any number between; those that an image has less than others
            see nothing.

    Raises:
        InputError: for settings that no acquisition can have.
    """

    acceleration: tuple[float, float] = (2.0, 6.0)
    centre_fraction: float = 0.08
    mask: Literal["random", "equispaced", "either"] = "either"
    noise_min: float = 0.0
    noise_max: float = 0.02
    coils: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        """Refuses settings that no acquisition can have."""
        slow, fast = self.acceleration
        if not 1 <= slow <= fast < float("inf"):
            raise InputError(
                f"no acceleration lies between {slow} and {fast}: choose 1 or more, "
                "the smaller one first"
            )
        if not 0 <= self.centre_fraction <= 1 / fast:
            raise InputError(
                f"centre_fraction {self.centre_fraction} does not fit an acceleration of {fast}: "
                f"choose 0 to {1 / fast:.3g}"
            )
        if self.mask not in ("random", "equispaced", "either"):
            raise InputError(
                f"no mask is called {self.mask!r}: choose random, equispaced or either"
            )
        if not 0 <= self.noise_min <= self.noise_max < float("inf"):
            raise InputError(
                f"noise between {self.noise_min} and {self.noise_max} of the scale cannot be: "
                "choose 0 or more, noise_min at most noise_max"
            )
        if not 1 <= self.coils[0] <= self.coils[1]:
            raise InputError(
                f"coils {self.coils[0]} to {self.coils[1]} cannot be: choose 1 or more, the "
                "smaller number first"
            )

    def __call__(
        self, clean: Tensor, factor: int, generator: torch.Generator, scale: Tensor
    ) -> Measured:
        """Acquires a batch; the same generator state gives the same result.

        Args:
            clean: (B, 1, H, W), float32 or float64, >= 0; `factor` divides H and W.
            factor: how many times fewer voxels per axis.
            generator: source of randomness; may live on another device than `clean`.
            scale: (B, 1, 1, 1), the intensity that noise levels are relative to.

        Raises:
            InputError: where `factor` does not divide both sizes, or w = W / factor lines are too
                few for the acceleration.
        """
        batch = len(clean)
        # As many numbers for every image whatever its mask, so that images stay independent.
        level, *choices = torch.rand(3, batch, generator=generator, device=generator.device)
        seeds = torch.randint(2**32, (batch,), generator=generator, device=generator.device)
        phase = smooth_phase(tuple(clean.shape), generator=generator, device=clean.device)
        phase = phase.to(clean.dtype)

        image = torch.polar(clean, phase)
        maps = None if self.coils == (1, 1) else self._arrays(clean, generator)
        low = crop_kspace(image if maps is None else image * maps, factor)
        sigma = self.noise_min + (self.noise_max - self.noise_min) * level.to(clean)
        noise = complex_noise(low, scale * sigma.view(batch, 1, 1, 1), generator)
        mask = torch.stack(
            [
                self._mask(low.shape[-1], *chosen)
                for chosen in zip(*(c.tolist() for c in (*choices, seeds)), strict=True)
            ]
        )
        mask = mask.view(batch, 1, 1, -1).to(clean.device)
        # Selected, not multiplied: what was not measured is 0 and not -0 or something tiny.
        kspace = torch.where(mask, fft2c(low) + noise, 0)
        if maps is None:
            return Measured(ifft2c(kspace), kspace, mask, phase)
        there = maps.abs().amax(dim=(-2, -1), keepdim=True) > 0
        kspace = kspace * there
        found = torch.stack(
            [
                sensitivities(each, centre_lines(lines.view(-1)))
                for each, lines in zip(kspace, mask, strict=True)
            ]
        )
        # Found with the image's phase; so that the clean image at every size has it instead.
        seen = combine(low, found, keepdim=True) * crop_kspace(image, factor).conj()
        found = found * torch.polar(torch.ones_like(seen.real), seen.angle())
        return Measured(folded(kspace, found, mask), kspace, mask, phase, found)

    def _arrays(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Sensitivities (B, C, H, W) of an array for each image, zeros for coils it has not."""
        few, most = self.coils
        maps = torch.zeros(
            len(clean), most, *clean.shape[-2:], dtype=torch.complex64, device=clean.device
        )
        for each in maps:
            count = int(torch.randint(few, most + 1, (), generator=generator))
            size = (clean.shape[-2], clean.shape[-1])
            each[:count] = coil_array(count, size, generator).to(clean.device)
        return maps

    def _mask(self, lines: int, speed: float, kind: float, seed: int) -> Tensor:
        """Mask (lines,) of one image, from numbers in [0, 1) and a seed of its own."""
        slow, fast = self.acceleration
        either: Literal["random", "equispaced"] = "random" if kind < 0.5 else "equispaced"
        return cartesian_mask(
            lines,
            acceleration=slow + (fast - slow) * speed,
            centre_fraction=self.centre_fraction,
            kind=either if self.mask == "either" else self.mask,
            generator=torch.Generator().manual_seed(seed),
        )
