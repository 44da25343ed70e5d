"""Data consistency: what was measured in k-space stays as it was measured."""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from iconet.physics.fourier import fft2c, ifft2c


class Samples(NamedTuple):
    """Measured k-space of the low-resolution image.

    Attributes:
        kspace: (B, 1, h, w) complex, the centred orthonormal Fourier transform (DC at
            (h//2, w//2)) of the low-resolution complex image; 0 where not measured.
        mask: (B, 1, 1, w) or (B, 1, h, w) bool, True where measured.
    """

    kspace: Tensor
    mask: Tensor


class DataConsistency(nn.Module):
    """Moves an image towards the measured samples by a learned share, almost all of the way.

    With k the number of times that the image has more pixels per axis than was acquired, ``crop``
    the centred crop of k-space to the acquired matrix and ``fill`` zero-filling::

        image' = image + fill(F^-1[w mask (samples - F[crop(image)])])

    w, between 0 and 1, weighs the noise of the samples against the errors of the network, as in
    Schlemper et al., IEEE Transactions on Medical Imaging 37:491-503, 2018, equation 6.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))  # w = sigmoid(weight), 0.95 at first

    def forward(self, image: Tensor, samples: Samples) -> Tensor:
        """Correct complex images.

        Args:
            image: (B, 2, k h, k w), real and imaginary part, on the scale of the samples and with
                their phase.
            samples: What was measured at (h, w).

        Returns:
            Like ``image``, float32.
        """
        low = to_complex(resize(image, samples.kspace.shape[-2:]))
        miss = samples.kspace - fft2c(low)
        correction = ifft2c(miss * samples.mask * torch.sigmoid(self.weight))
        return image + resize(to_channels(correction), image.shape[-2:])


def to_complex(image: Tensor) -> Tensor:
    """Real and imaginary part (B, 2, H, W) to complex (B, 1, H, W)."""
    return torch.complex(image[:, :1], image[:, 1:])


def to_channels(image: Tensor) -> Tensor:
    """Complex (B, 1, H, W) to real and imaginary part (B, 2, H, W)."""
    return torch.cat([image.real, image.imag], dim=1)


def resize(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Centred crop or zero-filling of k-space, field of view and intensities kept."""
    if image.shape[-2:] == size:
        return image
    rows = _kernel(image.shape[-2], size[0]).to(image)
    columns = _kernel(image.shape[-1], size[1]).to(image)
    # Matrix products would be autocast to bfloat16, which keeps only 8 bits of an intensity.
    with torch.autocast(image.device.type, enabled=False):
        return rows @ image @ columns.T


@functools.cache
@torch.inference_mode(False)  # what is kept from a prediction must also serve training
def _kernel(old: int, new: int) -> Tensor:
    """Matrix (new, old) that resamples a periodic signal by cropping or zero-padding its band.

    Sample m of the new lies at (m + 1/2) old/new - 1/2 of the old. Each entry sums the band's
    cosines of that distance: a Dirichlet kernel. The Nyquist frequency of an even length belongs
    half to each of its ends.
    """
    band = min(old, new)
    frequency = torch.arange(band // 2 + 1, dtype=torch.float64)
    gain = torch.full_like(frequency, 2 / old)
    gain[0] /= 2
    if band % 2 == 0:
        gain[-1] /= 2
    place = (torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5
    distance = place[:, None] - torch.arange(old, dtype=torch.float64)
    angle = 2 * math.pi / old * distance[..., None] * frequency
    return (torch.cos(angle) * gain).sum(-1).float()
