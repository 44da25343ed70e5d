"""Complex images as the network holds them: real and imaginary part as two channels."""

import functools
import math

import torch
from torch import Tensor


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
