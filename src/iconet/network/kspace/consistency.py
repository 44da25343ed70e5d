"""Data consistency: what was measured in k-space stays as it was measured."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from iconet.network.kspace.complex_images import resize, to_channels, to_complex
from iconet.network.kspace.phase import SlowPhase
from iconet.physics.coils import Coils
from iconet.physics.fourier import fft2c, ifft2c

ITERATIONS = 6  # of conjugate gradients, in each consistency


class Samples(NamedTuple):
    """Measured k-space of the low-resolution image.

    Attributes:
        kspace: (B, C, h, w) complex, the centred orthonormal Fourier transform (DC at
            (h//2, w//2)) of what each coil sees of the low-resolution complex image; 0 where not
            measured.
        mask: (B, 1, 1, w) or (B, 1, h, w) bool, True where measured.
        maps: (B, C, h, w) complex, the sensitivities of the coils, whose squared magnitudes sum to
            1; None where k-space is that of the image itself, C = 1.
    """

    kspace: Tensor
    mask: Tensor
    maps: Tensor | None = None


def measured_of(image: Tensor, samples: Samples) -> Tensor:
    """What the same acquisition would measure of images (B, 2, k h, k w): (B, C, h, w) complex."""
    low = to_complex(resize(image, samples.kspace.shape[-2:]))
    if samples.maps is None:
        return fft2c(low) * samples.mask
    return Coils(samples.maps, samples.mask).measure(low)


class DataConsistency(nn.Module):
    """Moves an image towards the measured samples by a learned share, almost all of the way.

    With k the number of times that the image has more pixels per axis than was acquired, ``crop``
    the centred crop of k-space to the acquired matrix and ``fill`` zero-filling::

        image' = image + fill(F^-1[w mask (samples - F[crop(image)])])

    w, between 0 and 1, weighs the noise of the samples against the errors of the network, as in
    Schlemper et al., IEEE Transactions on Medical Imaging 37:491-503, 2018, equation 6.

    With several coils, A the product of mask, F and sensitivities, the same weighing is the
    solution of (A^H A + (1 - w)/w) change = A^H (samples - A crop(image)), found by conjugate
    gradients (Aggarwal et al., IEEE Transactions on Medical Imaging 38:394-405, 2019).
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
        if samples.maps is None:
            miss = samples.kspace - fft2c(low)
            correction = ifft2c(miss * samples.mask * torch.sigmoid(self.weight))
        else:
            coils = Coils(samples.maps, samples.mask)
            miss = samples.kspace - coils.measure(low)
            # exp(-weight) is (1 - w)/w.
            correction = coils.solve(miss, torch.exp(-self.weight), ITERATIONS)
        return image + resize(to_channels(correction), image.shape[-2:])


class EnforceConsistency:
    """Data consistency of images without their slow phase with samples that still have it.

    Args:
        samples: What was measured.
        phase: Of the low-resolution image.
    """

    def __init__(self, samples: Samples, phase: SlowPhase) -> None:
        self._samples, self._phase = samples, phase

    def __call__(self, image: Tensor, layer: nn.Module) -> Tensor:
        """Correct an image (B, 2, k h, k w) by a :class:`DataConsistency`."""
        return self._phase.remove(layer(self._phase.restore(image), self._samples))
