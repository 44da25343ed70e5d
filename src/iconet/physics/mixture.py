"""A mix of ways to degrade an image: weights, and one way drawn for every image."""

from collections.abc import Sequence

import torch
from torch import Tensor

from iconet.errors import InputError


def check_mixture(
    name: str, weights: Sequence[float], *, noise_probability: float, noise_max: float
) -> None:
    """Refuse weights and noise that are no mix.

    Args:
        name: of what the weights are, for the message.
        weights: relative, one for each way.
        noise_probability: share of the images with noise.
        noise_max: largest level, as a share of an intensity scale.

    Raises:
        InputError: says what is wrong.
    """
    if not (min(weights) >= 0 and 0 < sum(weights) < float("inf")):
        raise InputError(f"{name} weights {weights} are no mix: none below 0, at least one above")
    if not 0 <= noise_probability <= 1:
        raise InputError(f"noise_probability {noise_probability} is not within 0 to 1")
    if not 0 <= noise_max < float("inf"):
        raise InputError(f"noise_max {noise_max} is not a share of the scale: 0 or more")


def pick(weights: Sequence[float], uniform: Tensor) -> Tensor:
    """Index of the way of each image, by inverting the cumulated weights at numbers in [0, 1)."""
    edges = torch.tensor(weights, dtype=torch.float64).cumsum(0)
    edges = (edges / edges[-1]).to(uniform.dtype)[:-1].to(uniform.device)
    return torch.bucketize(uniform, edges, right=True)
