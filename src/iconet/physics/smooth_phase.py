"""The smooth phase that coils, field and motion give every MR image."""

from functools import lru_cache

import torch
from torch import Tensor


def smooth_phase(
    shape: tuple[int, ...],
    *,
    generator: torch.Generator,
    device: torch.device | str | None = None,
    amplitude: float = torch.pi,
) -> Tensor:
    """Draws random smooth phase fields, each a mean of a quadratic and a few slow harmonics.

    The weights of the terms are normal and their magnitudes sum to 1, and no term leaves [-1, 1].
    So both the field (at most `amplitude`) and its slope (at most 2 pi `amplitude` per field of
    view and axis) are bounded, whatever is drawn.

    Args:
        shape: (..., H, W); every leading index has its own field.
        generator: source of randomness; may live on another device than the result.
        device: where the field is wanted; by default the generator's.
        amplitude: bound of the field, in radians.

    Returns:
        Real float32 field in radians, of that shape.
    """
    *leading, height, width = shape
    terms = _smooth_terms(height, width).to(generator.device)
    weights = torch.randn(*leading, len(terms), generator=generator, device=generator.device)
    weights = weights / weights.abs().sum(-1, keepdim=True)
    field = amplitude * torch.einsum("...k,khw->...hw", weights, terms)
    return field if device is None else field.to(device)


# Sizes repeat in training, and the terms take longer than all else a simulated acquisition does.
@lru_cache(maxsize=8)
def _smooth_terms(height: int, width: int) -> Tensor:
    """The terms (K, H, W), each within [-1, 1]: slopes, curvatures, one period or less per axis."""
    y = ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]
    x = ((torch.arange(width) + 0.5) / width * 2 - 1)[None, :]
    polynomial = [x, y, x * y, x**2, y**2]
    waves = [
        wave(torch.pi * (u * x + v * y))
        for u, v in ((1, 0), (0, 1), (1, 1), (1, -1))
        for wave in (torch.sin, torch.cos)
    ]
    return torch.stack([term.expand(height, width) for term in polynomial + waves])
