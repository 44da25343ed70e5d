"""The one convention of the Fourier transform: centred and orthonormal, for NumPy and torch.

k-space has DC at index N//2 of each axis, an image its origin at voxel N//2, and both hold the same
energy.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Array = TypeVar("Array", "NDArray[Any]", "Tensor")

_PLANE = (-2, -1)


def fftc(image: Array, axes: tuple[int, ...]) -> Array:
    """Centred orthonormal Fourier transform of an image along some of its axes."""
    fft = _library(image)
    return fft.fftshift(fft.fftn(fft.ifftshift(image, axes), None, axes, "ortho"), axes)


def ifftc(kspace: Array, axes: tuple[int, ...]) -> Array:
    """Inverse of `fftc`."""
    fft = _library(kspace)
    return fft.fftshift(fft.ifftn(fft.ifftshift(kspace, axes), None, axes, "ortho"), axes)


def fft2c(image: Array) -> Array:
    """`fftc` of the last two axes: images (..., H, W), DC at (H//2, W//2)."""
    return fftc(image, _PLANE)


def ifft2c(kspace: Array) -> Array:
    """Inverse of `fft2c`: k-space (..., H, W) to complex images of the same shape."""
    return ifftc(kspace, _PLANE)


def _library(array: object) -> Any:
    """The module whose functions transform this kind of array; both take the same arguments."""
    if isinstance(array, np.ndarray):
        return np.fft
    import torch

    return torch.fft
