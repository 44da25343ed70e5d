"""The slow phase of a complex image, taken off before the network and put back after it."""

import torch
from torch import Tensor

from iconet.network.kspace.complex_images import resize, to_channels, to_complex
from iconet.physics.fourier import fft2c, ifft2c

_REACH = 0.06  # of the sampling band, about the half width of a fully sampled centre
_LINES = 3.0  # at least


class SlowPhase:
    """What coils, field and motion add to the phase of an image, estimated from its centre.

    The image that the lowest spatial frequencies alone give has nearly that phase. Without it an
    image is nearly real and positive: a network need not learn the same anatomy at every phase,
    and an imaginary part is a sign of aliasing (the idea of homodyne reconstruction, Noll et al.,
    IEEE Transactions on Medical Imaging 10:154-163, 1991).

    Args:
        image: (B, 2, h, w), real and imaginary part.
    """

    def __init__(self, image: Tensor) -> None:
        height, width = image.shape[-2:]
        window = _window(height, image)[:, None] * _window(width, image)
        self._slow = to_channels(ifft2c(fft2c(to_complex(image.float())) * window))
        self._units: dict[torch.Size, Tensor] = {}  # by size, as every consistency asks for them

    def remove(self, image: Tensor) -> Tensor:
        """Image (B, 2, k h, k w) over the same field of view, without the phase."""
        return to_channels(to_complex(image) * self._unit(image).conj())

    def restore(self, image: Tensor) -> Tensor:
        """The inverse of :meth:`remove`."""
        return to_channels(to_complex(image) * self._unit(image))

    def _unit(self, image: Tensor) -> Tensor:
        size = image.shape[-2:]
        if size not in self._units:
            slow = to_complex(resize(self._slow, size))
            self._units[size] = torch.polar(torch.ones_like(slow.real), slow.angle())
        return self._units[size]


def _window(length: int, like: Tensor) -> Tensor:
    """Hann window around the centre of k-space, zero from ``_REACH`` on."""
    frequency = torch.arange(length, device=like.device) - length // 2
    radius = frequency / max(_LINES, _REACH * length)
    return (1 + torch.cos(torch.pi * radius.clamp(-1, 1))) / 2
