"""Receiver noise: Gaussian in both channels of the complex signal, so Rician in magnitude."""

import torch
from torch import Tensor


def complex_noise(image: Tensor, sigma: float | Tensor, generator: torch.Generator) -> Tensor:
    """Draws the noise to add to an image: white complex Gaussian of the image's shape.

    Args:
        image: real or complex, any shape; only its shape, precision and device matter.
        sigma: standard deviation of the real and of the imaginary part, >= 0, in the image's
            units; a tensor broadcasts over the image, e.g. (B, 1, 1, 1).
        generator: source of randomness; may live on another device than the image.

    Returns:
        The noise alone, complex, shaped like `image`.
    """
    real = torch.promote_types(image.real.dtype, torch.float32)
    channels = torch.randn(
        *image.shape, 2, generator=generator, device=generator.device, dtype=real
    ).to(image.device)
    return torch.view_as_complex(channels) * sigma


def rician(image: Tensor, sigma: float | Tensor, generator: torch.Generator) -> Tensor:
    """Magnitude |image + complex noise|, as a scanner would show it.

    For a true magnitude A the result has second moment A^2 + 2 sigma^2, and where A is 0 the mean
    sigma sqrt(pi/2) (Gudbjartsson and Patz, Magn Reson Med 34:910-914, 1995). With sigma 0 it is
    the magnitude itself. See `complex_noise` for the arguments.
    """
    return (image + complex_noise(image, sigma, generator)).abs()
