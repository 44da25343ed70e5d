"""What random mixes of degradations share: relative weights of ways, and noise for some images."""

from typing import ClassVar

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.physics.noise import rician


class Mixture:
    """Base of a frozen dataclass whose fields `ways` are the relative weights of its ways.

    Raises:
        InputError: for a negative weight, no positive weight, or noise out of range.
    """

    name: ClassVar[str]
    ways: ClassVar[tuple[str, ...]]
    noise_probability: float
    noise_max: float

    def __post_init__(self) -> None:
        """Refuses weights and noise that are no mix."""
        weights = self._weights
        if not (min(weights) >= 0 and 0 < sum(weights) < float("inf")):
            raise InputError(
                f"{self.name} weights {weights} are not a mix: give none below 0 and at least one"
                " above"
            )
        if not 0 <= self.noise_probability <= 1:
            raise InputError(f"noise_probability {self.noise_probability} is not within 0 to 1")
        if not 0 <= self.noise_max < float("inf"):
            raise InputError(f"noise_max {self.noise_max} is not a share of the scale: 0 or more")

    @property
    def _weights(self) -> tuple[float, ...]:
        return tuple(getattr(self, way) for way in self.ways)

    def pick(self, uniform: Tensor) -> Tensor:
        """Number of each image's way, by inverting the cumulated weights at numbers in [0, 1)."""
        edges = torch.tensor(self._weights, dtype=torch.float64).cumsum(0)
        edges = (edges / edges[-1]).to(uniform.dtype)[:-1].to(uniform.device)
        return torch.bucketize(uniform, edges, right=True)

    def noisy(
        self, low: Tensor, uniform: Tensor, generator: torch.Generator, scale: Tensor
    ) -> Tensor:
        """Magnitudes (B, 1, h, w), some with Rician noise, by (2, B) numbers in [0, 1)."""
        chosen, level = uniform.to(low).reshape(2, -1, 1, 1, 1)
        sigma = scale * self.noise_max * level * (chosen < self.noise_probability)
        return rician(low, sigma, generator)
