"""Measured k-space of one slice to one complex image, and which of its samples count as measured.

A single coil is zero-filled. Coils of fully sampled data are combined with their sensitivities;
every line of the combined image counts as measured. Coils of undersampled data are first brought
to one image by SENSE: in the sum over coils that vary in space no line is a measured one any more.
What SENSE found counts as measured on the lines that were, and in gaps between them of up to 3
lines, or in all up to 2 times accelerated with twice as many coils; wider gaps, and what lies
outside of the outermost lines (partial Fourier, low phase resolution), are left to the joint
network. Eight simulated coils around three slices of a brain, 1 % noise, and what the other network
would have given: 2, 3 and 4 times evenly accelerated 31.2, 29.4 and 27.2 dB (joint network 29.0,
28.1, 26.7); at random 28.6 (filling gaps of up to 3 lines 27.8), 27.2 and 25.8 (filling all 26.2
and 23.8); docs/experiments.md, row 72.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.physics.coils import centre_lines, combine, sense, sensitivities
from iconet.physics.fourier import fft2c, ifft2c

FASTEST = 6.0  # acceleration, the largest that joint networks were trained for
GAP = 3  # lines between two measured ones that SENSE fills in as good as measured
MODERATE = 2.0  # acceleration up to which it so fills in any gap, with twice as many coils
WHOLE_LINES = 1.02  # how far a mask, of whole lines, may lie above the acceleration meant
CENTRE_LINES = 8  # fewest lines around the centre that sensitivities can be taken from


class SliceReconstruction(NamedTuple):
    """One slice of one coil, or combined from several.

    Attributes:
        image: (h, W) complex64, zero-filled or by SENSE; readout oversampling is removed.
        mask: (h, W) bool, True for the samples of k-space that count as measured.
        acceleration: Lines between the outermost measured ones over measured lines.
        complete: Whether between them no line is unknown, be it by SENSE.
    """

    image: Tensor
    mask: Tensor
    acceleration: float
    complete: bool


def reconstruct_slice(kspace: Tensor, height: int) -> SliceReconstruction:
    """Reconstruct a slice.

    Args:
        kspace: (C, H, W) complex64 with something in it, DC at (H//2, W//2), 0 where not measured;
            the last axis is the phase-encoding direction.
        height: h, the middle part of the readout that the image is to show.

    Raises:
        InputError: Too few lines: more than 6 times accelerated, more than there are coils for
            several, or no full centre. The message is what is wrong with the file, without its
            name.
    """
    coils, full, width = kspace.shape
    there = kspace != 0
    lines, samples = there.any(dim=1).any(dim=0), there.any(dim=2).any(dim=0)
    measured = lines.nonzero().flatten().tolist()
    acceleration = (measured[-1] + 1 - measured[0]) / len(measured)
    centre = centre_lines(lines)
    _check_lines(coils, acceleration, centre, width)

    start = full // 2 - height // 2
    image = ifft2c(kspace)[:, start : start + height]
    known = lines
    if coils == 1:
        combined = image[0]
    else:
        known = _known_after_sense(lines, measured, acceleration, coils)
        combined = _combined(image, lines, known, centre, accelerated=acceleration > 1)
    # Samples of the readout, once the oversampling is gone, at the nearest that there were.
    steps = (torch.arange(height, dtype=torch.float64) - height // 2) * (full / height)
    rows = samples[(steps.round().long() + full // 2).clamp(0, full - 1)]
    whole = bool(known[measured[0] : measured[-1] + 1].all())
    return SliceReconstruction(combined, rows[:, None] & known, acceleration, whole)


def _known_after_sense(
    lines: Tensor, measured: list[int], acceleration: float, coils: int
) -> Tensor:
    """Lines that count as measured: those that were, and gaps that SENSE fills in as well."""
    easy = acceleration <= MODERATE * WHOLE_LINES and coils >= 2 * acceleration
    known = lines.clone()
    for left, right in pairwise(measured):
        if easy or right - left <= GAP + 1:
            known[left:right] = True
    return known


def _combined(
    images: Tensor, lines: Tensor, known: Tensor, centre: int, *, accelerated: bool
) -> Tensor:
    """One image (h, W) of those of the coils, with nothing on the lines that are not known."""
    kspace = fft2c(images)
    maps = sensitivities(kspace, centre)
    if not accelerated:
        return combine(images, maps)
    return ifft2c(torch.where(known, fft2c(sense(kspace, lines, maps)), 0))


def _check_lines(coils: int, acceleration: float, centre: int, width: int) -> None:
    fastest = min(FASTEST, coils) if coils > 1 else FASTEST
    if acceleration > fastest * WHOLE_LINES:
        raise InputError(
            f"{acceleration:.1f} times accelerated; more than {fastest:g} cannot be "
            f"reconstructed well from {coils} coil{'s' * (coils > 1)}"
        )
    if centre < min(CENTRE_LINES, width // 4):
        raise InputError(
            f"only {centre} lines of the centre of k-space are complete; {CENTRE_LINES} are"
            " needed: include the calibration lines"
        )
