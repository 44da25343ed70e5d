"""What is known of how far a trained network may be trusted; lies in a file beside its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from iconet.network.interval import IntervalHead

SHRINKAGE = 0.02
"""Share of the features' mean variance that is added to each: few scans tell no full covariance."""


@dataclass(frozen=True, eq=False)
class Familiar:
    """How the features of images that the network knows are distributed.

    Attributes:
        mean: (F,), of pooled features, see `pooled`.
        deviation: (F,), theirs.
        whitening: (F, F), makes features of deviation 1 independent.
        furthest: Distance that 5 % of images exceed that the network knows, but has not seen.
    """

    mean: Tensor
    deviation: Tensor
    whitening: Tensor
    furthest: float

    @classmethod
    def of(cls, features: Tensor) -> "Familiar":
        """Of training images, (N, F); `furthest` is to be calibrated on others."""
        features = features.double()
        mean, deviation = features.mean(0), features.std(0) + 1e-6
        covariance = ((features - mean) / deviation).T.cov()
        covariance += SHRINKAGE * torch.eye(len(mean), dtype=torch.float64)
        values, vectors = torch.linalg.eigh(covariance)
        whitening = vectors / values.sqrt()
        return cls(mean.float(), deviation.float(), whitening.float(), float("inf"))

    def distance(self, features: Tensor) -> Tensor:
        """Mahalanobis distances (N,) of pooled features (N, F), relative to their number."""
        whitened = ((features - self.mean) / self.deviation) @ self.whitening
        return whitened.square().mean(1).sqrt()


@dataclass(frozen=True, eq=False)
class Trust:
    """How far the results of a network may be trusted.

    Attributes:
        head: Gives distances to the bounds of 90 % intervals, calibrated.
        familiar: What it knows; None of networks of complex images.
        ranges: The least and the largest of each property of the images it knows.
        calibration: For each way of losing resolution, what was measured on validation subjects.
        sha256: Of the file it was read from.
    """

    head: IntervalHead
    familiar: Familiar | None
    ranges: Mapping[str, tuple[float, float]]
    calibration: Mapping[str, Mapping[str, float]]
    sha256: str | None = None


def pooled(features: Tensor) -> Tensor:
    """Mean and spread of each feature over the positions of an image: (B, C, H, W) to (B, 2C)."""
    flat = features.float().flatten(2)
    return torch.cat([flat.mean(2), (flat.std(2) + 1e-4).log()], dim=1)
