"""Gaussian point spread, as in PET and CT: blur, and blur seen by a coarser grid."""

import math

import torch
from torch import Tensor

from iconet.errors import InputError

_SIGMA_PER_FWHM = 1 / math.sqrt(8 * math.log(2))


def gaussian_blur(image: Tensor, fwhm_voxels: float | Tensor) -> Tensor:
    """Blurs (..., H, W) in both axes with a Gaussian of the given full width at half maximum.

    At the border the kernel is renormalised over the voxels that exist, so a constant stays
    constant and nothing wraps around.

    Args:
        image: real floating point, (..., H, W).
        fwhm_voxels: width in voxels, >= 0 (0 changes nothing); a tensor broadcastable to
            (..., 1, 1) sets it per image.
    """
    return blur_and_resample(image, 1, fwhm_voxels)


def blur_and_resample(image: Tensor, factor: int, fwhm_voxels: float | Tensor) -> Tensor:
    """Blurs (..., H, W) and samples at the centres of blocks of factor x factor voxels.

    The Gaussian is evaluated at each block's centre, which for an even factor lies between voxels:
    no interpolation enters. Arguments as in `gaussian_blur`, the width in input voxels.

    Returns:
        (..., H/factor, W/factor).

    Raises:
        InputError: where `factor` does not divide both sizes.
    """
    height, width = image.shape[-2:]
    rows = gaussian_weights(height, factor, fwhm_voxels, like=image)
    columns = gaussian_weights(width, factor, fwhm_voxels, like=image)
    return rows @ image @ columns.transpose(-2, -1)


def gaussian_weights(
    length: int, factor: int, fwhm_voxels: float | Tensor, *, like: Tensor
) -> Tensor:
    """Weights (..., length/factor, length) of every voxel in every block-centred Gaussian sample.

    Rows sum to 1. As the width goes to 0 a row tends to the nearest voxel, or to the mean of the
    two nearest where the centre lies between them. Precision and device are those of `like`.
    """
    offsets = block_offsets(length, factor, like=like)
    fwhm = torch.as_tensor(fwhm_voxels, device=like.device, dtype=like.dtype)
    sigma = (fwhm * _SIGMA_PER_FWHM).clamp_min(1e-3)
    # softmax normalises without underflow, however narrow the Gaussian.
    return torch.softmax(-((offsets / sigma) ** 2) / 2, dim=-1)


def block_offsets(length: int, factor: int, *, like: Tensor) -> Tensor:
    """Signed distance (length/factor, length), in voxels, from each block's centre to each voxel.

    Raises:
        InputError: where `factor` does not divide `length`.
    """
    if factor < 1 or length % factor:
        raise InputError(
            f"{length} voxels do not split into blocks of {factor}: crop or pad the image first"
        )
    voxels = torch.arange(length, device=like.device, dtype=like.dtype)
    centres = voxels[: length // factor] * factor + (factor - 1) / 2
    return voxels - centres[:, None]
