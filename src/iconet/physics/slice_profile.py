"""Thick slices from thin ones: the through-plane axis has a profile, not a point spread."""

from typing import Literal

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.physics.blur import block_offsets, gaussian_weights


def thick_slices(
    volume: Tensor,
    factor: int,
    *,
    profile: Literal["rect", "gaussian"] = "rect",
    gap: float = 0.0,
) -> Tensor:
    """Merges blocks of `factor` thin slices along the last axis into thick ones.

    Every thick slice is centred on its block and has intensities on the scale of the input.
    "rect" without a gap is the mean of the block. "gaussian" has its full width at half maximum
    equal to the slice thickness and so sees its neighbours too, as real excitation does.

    Args:
        volume: real floating point, (..., D), thin slices along the last axis.
        factor: thin slices per thick slice; divides D.
        profile: sensitivity across the slice.
        gap: space left between thick slices, in thin slices, 0 <= gap < factor; the thickness is
            factor - gap.

    Returns:
        (..., D/factor).

    Raises:
        InputError: where `factor` does not divide D, or for an impossible profile or gap.
    """
    length = volume.shape[-1]
    if not 0 <= gap < factor:
        raise InputError(f"a gap of {gap} in every {factor} slices: choose 0 <= gap < {factor}")
    thickness = factor - gap
    if profile == "rect":
        # Share of every thin slice, one wide, that lies within half a thickness of the centre.
        distance = block_offsets(length, factor, like=volume).abs()
        weights = (thickness / 2 + 0.5 - distance).clamp(0, min(1.0, thickness))
        weights = weights / weights.sum(-1, keepdim=True)
    elif profile == "gaussian":
        weights = gaussian_weights(length, factor, thickness, like=volume)
    else:
        raise InputError(f"no slice profile is called {profile!r}: choose rect or gaussian")
    return torch.einsum("...d,md->...m", volume, weights)
