"""Partial Fourier: one side of k-space was left out, and the phase of the image stands for it."""

import torch
from torch import Tensor

from iconet.physics.coils import Coils, centre_lines, hann, lines_or_samples
from iconet.physics.fourier import fft2c, ifft2c

SHORTER = 0.18  # of the longer side that the shorter one must lack, 7/8 lack a quarter
GAPS = 2  # times the widest gap between measured lines: outermost lines at random lack less
ITERATIONS = 8
STRENGTH = 0.01  # of what each iteration keeps of the image against the samples


def partial_fourier(lines: Tensor) -> float | None:
    """How much of k-space was measured along an axis one side of which was left out.

    Args:
        lines: (W,) bool, True where measured, DC at W//2.

    Returns:
        The share that was covered of what both sides at their longer one would have; None where
        they are alike, be the lines between complete or not.
    """
    measured = lines.nonzero().flatten()
    if len(measured) < 2:
        return None
    centre = len(lines) // 2
    left, right = centre - int(measured[0]), int(measured[-1]) - centre
    if min(left, right) < 0:
        return None  # without its centre it is something else
    # An even number of lines has one more on the left.
    lacking = min(abs(left - right), abs(left - right - 1))
    widest = int(measured.diff().max())
    longer = max(left, right + 1)
    if lacking < max(2, SHORTER * longer) or lacking <= GAPS * (widest - 1):
        return None
    return min(1.0, (left + right + 1) / (2 * longer))


def fill(kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
    """The image of samples one side of which is missing, by projections onto what is known of it.

    In turns the image gets the phase that the centre of k-space has (Haacke et al., Journal of
    Magnetic Resonance 92:126-145, 1991) and its samples back.

    Args:
        kspace: (C, H, W) complex, 0 where not measured.
        maps: (C, H, W), sensitivities; of one coil ones.
        mask: (H, W) bool, True where measured; complete around the centre.

    Returns:
        (1, H, W) complex.
    """
    coils = Coils(maps, lines_or_samples(mask))
    unit = _slow_unit(coils.adjoint(kspace), mask)
    image = coils.solve(kspace, STRENGTH, ITERATIONS)
    for _ in range(ITERATIONS):
        image = image.abs() * unit
        image = image + coils.solve(kspace - coils.measure(image), STRENGTH, ITERATIONS)
    return image


def _slow_unit(image: Tensor, mask: Tensor) -> Tensor:
    """Numbers of magnitude 1 with the phase of an image's fully measured centre."""
    height, width = (centre_lines(mask.any(dim=other)) for other in (1, 0))
    taper = hann(image.shape[-2], min(height, width)), hann(image.shape[-1], min(height, width))
    slow = ifft2c(fft2c(image) * (taper[0][:, None] * taper[1]).to(image.device))
    return torch.polar(torch.ones_like(slow.real), slow.angle())
