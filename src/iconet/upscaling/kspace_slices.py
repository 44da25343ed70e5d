"""The slices of raw k-space, one complex image each, and what was found of their sampling."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import require_memory
from iconet.images.kspace.raw_data import RawData
from iconet.upscaling.out_of_range import Finding
from iconet.zoo.model import SMALLEST

if TYPE_CHECKING:
    from iconet.physics.residuals import KspaceConsistency

EIGHTH = 0.25
"""Of an eighth that a share of k-space may be off one, lines being whole."""


class Reconstruction(NamedTuple):
    """The slices of a file; see `iconet.physics.reconstruction.SliceReconstruction`.

    Attributes:
        images: (S, h, W) complex64.
        masks: (S, h, W) bool.
        acceleration: The most of all slices; 1 if no line is missing.
        complete: Whether it is so of all slices.
        coils: How many.
        partial: The least share of k-space that was covered, one side being left out; else None.
        consistency: How the result agrees with the samples; None before there is one.
        findings: In what complete data are unlike those that the network was trained on.
    """

    images: NDArray[np.complex64]
    masks: NDArray[np.bool_]
    acceleration: float
    complete: bool
    coils: int = 1
    partial: float | None = None
    consistency: "KspaceConsistency | None" = None
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        """What was found, for people."""
        found = f"{self.acceleration:.1f}x accelerated"
        if self.partial is None:
            return found
        eighths = self.partial * 8
        share = f"{self.partial:.0%}"
        if abs(eighths - round(eighths)) < EIGHTH:
            share = f"{round(eighths)}/8"
        return f"{found}, partial Fourier {share}{' filled in' * self.complete}"


def reconstruct(raw: RawData) -> Reconstruction:
    """One complex image a slice, and which samples of its k-space count as measured.

    Raises:
        InputError: Samples that are no numbers, slices too small, or too few lines: more than 6
            times accelerated, more than there are coils for several, or no full centre.
    """
    import torch

    from iconet.physics.reconstruction import reconstruct_slice

    height, width = raw.shown[0], raw.matrix[1]
    if min(height, width) < SMALLEST:
        raise InputError(
            f"{raw.path}: slices of {height} x {width} are too small: 16 x 16 at least"
        )
    images = np.zeros((raw.slices, height, width), np.complex64)
    masks = np.zeros(images.shape, np.bool_)
    most, complete, partial = 1.0, True, None
    for index in range(raw.slices):
        # Its images and those of the conjugate gradients.
        require_memory(str(raw.path), (8, 2, raw.coils, *raw.matrix))
        kspace = raw.load(index)
        if not np.isfinite(kspace).all():
            raise InputError(f"{raw.path}: its k-space holds NaN or Inf; convert it again")
        if not kspace.any():
            continue  # an empty slice stays empty
        try:
            found = reconstruct_slice(torch.from_numpy(kspace), height)
        except InputError as error:
            raise InputError(f"{raw.path}: {error}") from None
        images[index], masks[index] = found.image.numpy(), found.mask.numpy()
        most, complete = max(most, found.acceleration), complete and found.complete
        if found.partial is not None:
            partial = min(found.partial, partial or 1.0)
    if not masks.any():
        raise InputError(f"{raw.path}: its k-space is zero everywhere; convert it again")
    return Reconstruction(images, masks, most, complete, raw.coils, partial)
