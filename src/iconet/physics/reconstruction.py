"""Measured k-space of one slice to one complex image, and what a network may know of it.

A single coil is zero-filled. Coils of fully sampled data are combined with their sensitivities.
Of undersampled coils a network is given all that they measured and their sensitivities, so that
its image agrees with each of them; it begins with an image between zero-filling and SENSE. Where
no more than every second line is missing SENSE fills in all, better than that network would. One
side of k-space left out (partial Fourier) is filled in where no other line is missing then.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.physics.coils import (
    centre_lines,
    combine,
    compress,
    folded,
    lines_or_samples,
    sense,
    sensitivities,
)
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.partial_fourier import fill, partial_fourier

FASTEST = 6.0  # acceleration, the largest that joint networks were trained for
WHOLE_LINES = 1.02  # how far a mask, of whole lines, may lie above the acceleration meant
GAP = 1  # lines between two measured ones that SENSE fills in better than a joint network
ENOUGH = 4  # coils for that
CENTRE_LINES = 8  # fewest lines around the centre that sensitivities can be taken from


class SliceReconstruction(NamedTuple):
    """One slice of one coil, or of several.

    Attributes:
        image: (h, W) complex64, without readout oversampling: zero-filled, combined, filled in, or
            what a network is to begin with.
        kspace: (C, h, W) complex64, the samples, 0 where nothing was measured; of coils that were
            combined the one image's.
        mask: (h, W) bool, True for the samples of k-space that count as measured.
        maps: (C, h, W) complex64, sensitivities of undersampled coils; None where C is 1.
        acceleration: Lines between the outermost measured ones over measured lines.
        partial: Share of k-space that was covered where one side was left out, else None.
        complete: Whether between the outermost ones no line is missing, or left to a network.
    """

    image: Tensor
    kspace: Tensor
    mask: Tensor
    maps: Tensor | None
    acceleration: float
    partial: float | None
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
    partial = partial_fourier(lines)
    full_lines = acceleration == 1
    sensed = not full_lines and coils >= ENOUGH and max(_steps(measured)) <= GAP + 1

    kspace = compress(kspace, centre)
    start = full // 2 - height // 2
    images = ifft2c(kspace)[:, start : start + height]
    rows = samples[nearest_samples(full, height)][:, None]
    mask = rows & lines
    if not (full_lines or sensed or coils == 1):
        seen = torch.where(mask, fft2c(images), 0)
        maps = sensitivities(seen, centre)
        begin = folded(seen, maps, lines_or_samples(mask))[0]
        return SliceReconstruction(begin, seen, mask, maps, acceleration, partial, False)

    seen, maps = torch.where(mask, fft2c(images), 0), torch.ones_like(images)
    image = images
    if coils > 1:
        maps = sensitivities(seen, centre)
        image = combine(images, maps, keepdim=True)
    if sensed:
        between = torch.zeros_like(lines)
        between[measured[0] : measured[-1] + 1] = True
        mask = rows & between
        seen = torch.where(mask, fft2c(sense(seen, lines, maps)), 0)[None]
        image, maps = ifft2c(seen), torch.ones_like(seen)
    complete = full_lines or sensed
    if complete and partial is not None:
        image = fill(seen, maps, mask)
    return SliceReconstruction(
        image[0], torch.where(mask, fft2c(image), 0), mask, None, acceleration, partial, complete
    )


def _steps(measured: list[int]) -> list[int]:
    return [right - left for left, right in pairwise(measured)]


def nearest_samples(full: int, shown: int) -> Tensor:
    """Which of `full` samples are nearest to those of the middle part of the field of view."""
    steps = (torch.arange(shown, dtype=torch.float64) - shown // 2) * (full / shown)
    return (steps.round().long() + full // 2).clamp(0, full - 1)


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
