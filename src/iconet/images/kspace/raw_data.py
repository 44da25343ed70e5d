"""Raw data of a stack of slices in memory's reach, whatever file it came from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images.geometry import lps_to_ras
from iconet.images.kspace.mrd_header import Header

ALIKE = 1e-2  # millimetres by which the steps between slices may differ
UNIT = 1e-2  # by which a direction's length, or two directions' cosine, may be off


@dataclass(frozen=True)
class RawData:
    """Cartesian k-space of parallel slices, each in its encoded matrix.

    Attributes:
        path: The file.
        slices: Number of slices, S.
        coils: Number of receiver coils, C.
        matrix: (H, W) of k-space, readout and phase encoding.
        shown: (h, w), the middle part of the field of view that the image is to show, in pixels of
            the matrix: the rest is oversampling.
        affine: (4, 4) from indices (readout, phase, slice) of the whole H x W x S image to RAS+
            millimetres. The centre of k-space makes pixel (H//2, W//2) the position that the
            scanner was centred on.
        placed: Whether the file says where the slices are; if not, the affine has their spacing
            and its origin in the middle.
        remarks: What the file says of itself and does not hold: lines for the user.
        load: Reads a slice by its number: (C, H, W) complex64, DC at (H//2, W//2), 0 where
            nothing was measured.
    """

    path: Path
    slices: int
    coils: int
    matrix: tuple[int, int]
    shown: tuple[int, int]
    affine: NDArray[np.float64]
    placed: bool
    load: Callable[[int], NDArray[np.complex64]]
    remarks: tuple[str, ...] = ()


def shown_part(header: Header, matrix: tuple[int, int]) -> tuple[int, int]:
    """Pixels of (H, W) within the field of view that the image is to show.

    The voxels stay those that were measured: a matrix that the scanner would have interpolated to
    changes nothing.
    """
    h, w = (
        min(size, max(1, round(size * wanted / covered)))
        for size, wanted, covered in zip(
            matrix, header.recon.field_of_view, header.encoded.field_of_view, strict=False
        )
    )
    return h, w


def middle(length: int, wanted: int) -> slice:
    """The middle `wanted` of `length` samples, centre (n//2) on centre."""
    start = length // 2 - wanted // 2
    return slice(start, start + wanted)


def pixel_sizes(header: Header, matrix: tuple[int, int]) -> tuple[float, float]:
    """Millimetres along readout and phase: lines of k-space are one encoded field of view apart."""
    across, along, _ = header.encoded.field_of_view
    return across / matrix[0], along / matrix[1]


def default_affine(
    spacing: tuple[float, float, float], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Axes along the world's, the origin in the middle, for files that say no more."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-mm * (size // 2) for mm, size in zip(spacing, shape, strict=True)]
    return affine


def placed_affine(
    path: Path,
    directions: NDArray[np.float64],
    positions: NDArray[np.float64],
    spacing: tuple[float, float, float],
    centre: tuple[int, int, int],
) -> NDArray[np.float64]:
    """From what the scanner noted, in the patient's coordinates (left, posterior, superior).

    Args:
        path: For messages.
        directions: (3, 3), the unit vectors along readout, phase and slice, one a row.
        positions: (S, 3) millimetres, in the order of the slices; all the same for a single slice
            or a 3-D scan.
        spacing: Millimetres along the axes; the last where the positions do not tell.
        centre: Index of the voxel that the first position is the centre of.

    Raises:
        InputError: Directions that are no axes, or slices that are not evenly spaced.
    """
    lengths = np.linalg.norm(directions, axis=1)
    cosines = directions @ directions.T - np.diag(lengths**2)
    if not (np.abs(lengths - 1) < UNIT).all() or np.abs(cosines).max() > UNIT:
        raise InputError(
            f"{path}: its directions of readout, phase and slice are not three axes; repair the"
            " headers of its acquisitions"
        )
    columns = (directions / lengths[:, None]).T * spacing
    moved = positions[-1] - positions[0]
    if moved.any():
        step = moved / (len(positions) - 1)
        even = positions[0] + np.arange(len(positions))[:, None] * step
        if np.abs(positions - even).max() > ALIKE:
            raise InputError(
                f"{path}: its slices are not evenly spaced; convert them one stack at a time"
            )
        columns[:, 2] = step
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = positions[0] - columns @ np.asarray(centre, dtype=np.float64)
    return lps_to_ras(affine)
