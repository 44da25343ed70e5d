"""A slice of a scan as a picture, by where it lies in the field of view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iconet.images import Scan
from iconet.pictures.view import View, view_of


@dataclass(frozen=True)
class Section:
    """A slice.

    Attributes:
        view: how it is turned.
        index: along its axis.
        image: (H, W), its first row on top.
        size: height and width in millimetres; in pixels without an affine.
    """

    view: View
    index: int
    image: NDArray
    size: tuple[float, float]


def section_of(scan: Scan, across: int, share: float) -> Section:
    """A slice of the first volume.

    Args:
        scan: 2-D images have one slice, across axis 2.
        across: the voxel axis.
        share: where, from 0 to 1 of the field of view: the same for scans of different grids.
    """
    volume = volume_of(scan)
    view = view_of(scan.affine, across, min(scan.array.ndim, 3))
    index = min(int(share * volume.shape[across]), volume.shape[across] - 1)
    lengths = np.multiply(volume.shape, [*scan.spacing, 1.0][:3])
    return Section(
        view, index, view.turn(np.moveaxis(volume, across, 0)[index]), view.size(lengths.tolist())
    )


def middle(scan: Scan, across: int) -> float:
    """Where the centre of the middle slice lies, as `section_of` takes it."""
    count = volume_of(scan).shape[across]
    return (count // 2 + 0.5) / count


def volume_of(scan: Scan) -> NDArray:
    """The first volume (I, J, K) of a scan."""
    return np.atleast_3d(scan.first_volume)


def planes_of(scan: Scan, first: int) -> tuple[int, ...]:
    """The axes across the planes that a scan has, one of them first."""
    if scan.array.ndim == 2:
        return (first,)
    return (first, *(axis for axis in (2, 1, 0) if axis != first))
