"""A plane of a volume as radiologists look at it, whatever the order and direction of the axes.

Axial and coronal: the patient's right on the left of the picture, anterior or superior on top.
Sagittal: anterior on the left, superior on top.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PLANES = ("sagittal", "coronal", "axial")
"""By the world axis across them."""

LETTERS = ("RL", "AP", "SI")
"""Of both directions of each world axis."""

OBLIQUE = 0.2
"""Share of a direction along a second world axis from which it gets a second letter: 12 degrees."""


class View(NamedTuple):
    """How a plane of voxel axes is turned, and what its sides are.

    Attributes:
        across: the voxel axis across the plane.
        rows: the voxel axis that runs down the picture.
        columns: the voxel axis that runs to its right.
        flipped: whether these two run against the index.
        name: "axial", "coronal", "sagittal"; without an affine "across k", or "" for a picture.
        sides: letters for left, right, top and bottom, such as "R", "L", "A", "P"; "RA" where a
            direction is oblique. None without an affine.
    """

    across: int
    rows: int
    columns: int
    flipped: tuple[bool, bool]
    name: str
    sides: tuple[str, str, str, str] | None

    def turn(self, image: NDArray) -> NDArray:
        """A slice (the two axes in their own order) as a picture, its first row on top."""
        if self.rows > self.columns:
            image = image.T
        return image[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def size(self, lengths: Sequence[float]) -> tuple[float, float]:
        """Height and width of the picture, from what there is along each axis."""
        return lengths[self.rows], lengths[self.columns]


def view_of(affine: NDArray | None, across: int, dimensions: int = 3) -> View:
    """How to look at the plane across a voxel axis.

    Args:
        affine: (4, 4), voxels to RAS+ millimetres; None shows the axes in their own order, the
            first one downwards.
        across: the voxel axis; of a 2-D image 2, the missing one.
        dimensions: 2 or 3 spatial axes.
    """
    first, second = (axis for axis in range(3) if axis != across)
    if affine is None:
        name = f"across {'ijk'[across]}" if dimensions == 3 else ""
        return View(across, first, second, (False, False), name, None)
    from nibabel.orientations import io_orientation

    world = io_orientation(affine)  # per voxel axis: world axis (0 R, 1 A, 2 S) and direction
    # Rows run along the last world axis of the plane, columns along the first one.
    rows, columns = sorted((first, second), key=lambda axis: -world[axis, 0])
    # R and A point to the left of the picture, and A and S to its top: all against the index.
    flipped = bool(world[rows, 1] > 0), bool(world[columns, 1] > 0)
    down, right = (
        -affine[:3, axis] if flip else affine[:3, axis]
        for axis, flip in zip((rows, columns), flipped, strict=True)
    )
    sides = letters(-right), letters(right), letters(-down), letters(down)
    return View(across, rows, columns, flipped, PLANES[int(world[across, 0])], sides)


def letters(direction: NDArray) -> str:
    """Where a direction (3,) in RAS+ points to, the strongest axis first, such as "R" or "RA"."""
    shares = np.abs(direction) / np.linalg.norm(direction)
    named = [axis for axis in np.argsort(-shares, kind="stable") if shares[axis] >= OBLIQUE]
    return "".join(LETTERS[axis][int(direction[axis] < 0)] for axis in named)


def upright(volume: NDArray, affine: NDArray, axis: int, index: int) -> tuple[NDArray, float]:
    """One slice, turned, and the height of its pixels over their width.

    Args:
        volume: ``(I, J, K)``.
        affine: ``(4, 4)``, voxels to RAS+ millimetres.
        axis: The voxel axis across the slice.
        index: Which slice along it.
    """
    view = view_of(affine, axis)
    height, width = view.size(np.linalg.norm(affine[:3, :3], axis=0))
    return view.turn(np.moveaxis(volume, axis, 0)[index]), float(height / width)
