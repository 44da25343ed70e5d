"""The random mix of slice profiles that training images go through for the through-plane task."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.physics.kspace import resize_kspace
from iconet.physics.mixture import Mixture
from iconet.physics.slice_profile import thick_slices


@dataclass(frozen=True)
class SliceMix(Mixture):
    """Turns the rows of clean magnitude images into fewer, thick ones; columns stay as they are.

    Calling it draws for every image one profile, a gap where a profile has one and, for some,
    noise. The result is a magnitude, taken once at the end.

    Attributes:
        gaussian: relative weight of a Gaussian profile, as 2-D excitation gives it.
        rect: of the mean over the thickness.
        kspace: of a crop of k-space along the rows, as 3-D acquisitions encode slices.
        gap_max: gaps are uniform between 0 and this share of the distance of slices, below 1.
        noise_probability: share of the images that receive Rician noise, 0 to 1.
        noise_max: their noise level is uniform between 0 and this share of `scale`.

    Raises:
        InputError: for a negative weight, no positive weight, or gaps or noise out of range.
    """

    name: ClassVar[str] = "slice profile"
    ways: ClassVar[tuple[str, ...]] = ("gaussian", "rect", "kspace")

    gaussian: float = 0.5
    rect: float = 0.25
    kspace: float = 0.25
    gap_max: float = 0.2
    noise_probability: float = 0.1
    noise_max: float = 0.01

    def __post_init__(self) -> None:
        """Refuses gaps that cannot be, too."""
        super().__post_init__()
        if not 0 <= self.gap_max < 1:
            raise InputError(
                f"gap_max {self.gap_max} is not a share of a distance: 0 or more, below 1"
            )

    def __call__(
        self, clean: Tensor, factor: int, generator: torch.Generator, scale: Tensor
    ) -> Tensor:
        """Degrades a batch; the same generator state gives the same result.

        Args:
            clean: (B, 1, H, W), real, >= 0; `factor` divides H.
            factor: rows for each thick one.
            generator: source of randomness; may live on another device than `clean`.
            scale: (B, 1, 1, 1), the intensity that noise levels are relative to.

        Returns:
            (B, 1, H/factor, W), >= 0.

        Raises:
            InputError: where `factor` does not divide H.
        """
        draws = torch.rand(4, len(clean), generator=generator, device=generator.device)
        ways = self.pick(draws[0]).tolist()
        gaps = (draws[1] * self.gap_max * factor).tolist()
        low = torch.stack(
            [
                self._thick(image, factor, *how)
                for image, *how in zip(clean, ways, gaps, strict=True)
            ]
        )
        return self.noisy(low, draws[2:], generator, scale)

    def _thick(self, image: Tensor, factor: int, way: int, gap: float) -> Tensor:
        """(1, H, W) to (1, H/factor, W)."""
        height, width = image.shape[-2:]
        if way == 2:
            return resize_kspace(image, (height // factor, width))
        profile = ("gaussian", "rect")[way]
        rows = image.transpose(-2, -1)
        return thick_slices(rows, factor, profile=profile, gap=gap).transpose(-2, -1)  # type: ignore[arg-type]
