"""A scan on another grid over the same field of view, whatever fills it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, respaced_affine, updated_header

VolumeFilter = Callable[[NDArray, NDArray], None]
"""Reads a volume, or its slices, and fills the one on the new grid."""


def resize_in_plane(scan: Scan, axis: int, ratio: tuple[int, int], fill: VolumeFilter) -> Scan:
    """A scan with more or fewer pixels in each slice over the same field of view.

    Args:
        scan: (i, j), (i, j, k) or (i, j, k, t).
        axis: the axis across the slices.
        ratio: output pixels over input pixels, as a fraction in whole numbers.
        fill: called for every volume with views of its slices (N, H, W) before and after.
    """
    up, down = ratio
    sizes = scan.array.shape[:3]
    return regrid(
        scan,
        [size if index == axis else size * up // down for index, size in enumerate(sizes)],
        [1.0 if index == axis else down / up for index in range(len(sizes))],
        lambda volume, out: fill(as_stack(volume, axis), as_stack(out, axis)),
    )


def regrid(scan: Scan, shape: Sequence[int], ratios: Sequence[float], fill: VolumeFilter) -> Scan:
    """A scan on a grid with the same axes and the same centre of the field of view.

    Args:
        scan: (i, j), (i, j, k) or (i, j, k, t).
        shape: voxels along its spatial axes on the new grid.
        ratios: new over old spacing along these.
        fill: called for every volume, before and after.
    """
    array = scan.array
    new_shape = (*shape, *array.shape[3:])
    affine, header = scan.affine, scan.header
    if affine is not None:
        missing = 3 - len(ratios)
        affine = respaced_affine(
            affine,
            [*array.shape[:3], *[1] * missing],
            [*shape, *[1] * missing],
            [*ratios, *[1.0] * missing],
        )
    if header is not None and affine is not None:
        try:
            header = updated_header(header, affine, new_shape)
        except InputError as error:
            raise InputError(f"{scan.name}: {error}") from None
    density = scan.density
    if density is not None:
        density = (density[0] / ratios[1], density[1] / ratios[0], density[2])
    # NIfTI stores the first axis fastest: in that order it is written without another copy.
    exact = np.float64 if array.dtype == np.float64 else np.float32
    new = np.empty(new_shape, exact, order="C" if scan.affine is None else "F")
    for volume in range(array.shape[3] if array.ndim == 4 else 1):
        chosen = (..., volume) if array.ndim == 4 else ...
        fill(array[chosen], new[chosen])
    return replace(scan, array=new, affine=affine, header=header, density=density)


def as_stack(volume: NDArray, axis: int) -> NDArray:
    """A view of a volume as slices (N, H, W) across an axis; a 2-D image is one slice."""
    return volume[None] if volume.ndim == 2 else np.moveaxis(volume, axis, 0)


def positions(old: int, new: int, step: float) -> NDArray[np.float64]:
    """Where new voxels are centred along one axis, in old ones: both grids have one centre.

    Args:
        old: voxels of the old grid.
        new: of the new one.
        step: from one new voxel to the next, in old ones.
    """
    return np.asarray((old - 1) / 2 + (np.arange(new) - (new - 1) / 2) * step)


def nearest_voxels(old: int, new: int, ratio: float) -> NDArray[np.intp]:
    """The input voxel that each output voxel's centre lies in, along one axis."""
    return np.clip(np.floor(positions(old, new, ratio) + 0.5), 0, old - 1).astype(np.intp)
