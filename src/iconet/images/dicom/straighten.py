"""Slices of a tilted gantry, put upright.

A CT gantry that leans makes a stack that leans too: each slice lies a bit further along its rows or
columns than the one before. Few programs show that right. Here every slice is shifted by what it
leans, in its own plane, so that what was at a place of the patient stays at that place.
"""

import math

import numpy as np

# A gantry tilts by whole or half degrees; 0.3 degrees and less is rounding, kept in the affine.
LARGEST_SHEAR = 5e-3


def lean_of(affine: np.ndarray) -> float:
    """The angle in degrees between the step from slice to slice and their normal; 0 for rounding.

    Args:
        affine: (4, 4), of a stack of slices across the third axis.
    """
    rows, columns, step = affine[:3, :3].T
    normal = np.cross(rows, columns)
    height = abs(float(step @ normal)) / float(np.linalg.norm(normal))
    shear = math.sqrt(max(float(step @ step) - height**2, 0.0)) / height
    return math.degrees(math.atan(shear)) if shear > LARGEST_SHEAR else 0.0


def upright_shape(affine: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The size of the grid that holds all slices where they are."""
    slices, shifts = shape[2], _shifts(affine)
    wider = [math.ceil(abs(shift) * (slices - 1) - 1e-9) for shift in shifts]
    return (shape[0] + wider[0], shape[1] + wider[1], *shape[2:])


def upright(
    values: np.ndarray, affine: np.ndarray, *, padding: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """A leaning stack on an upright grid.

    Between pixels a cubic interpolates that stays within the range of the two nearest. Padding is
    not mixed with what is beside it. Where no slice was the least value stands, or the padding.

    Args:
        values: (I, J, K) or (I, J, K, T).
        affine: (4, 4) from indices to RAS+ millimetres, sheared.
        padding: The range of the values that are no measurement.

    Returns:
        Values and affine of the same places.
    """
    shape = upright_shape(affine, values.shape)
    fill = float(np.fmin.reduce(values, axis=None)) if padding is None else padding[0]
    new = np.full(shape, np.float32(fill), dtype=np.float32, order="F")
    slices, shifts = values.shape[2], _shifts(affine)
    first = [math.floor(min(0.0, shift * (slices - 1)) + 1e-9) for shift in shifts]
    for index in np.ndindex(values.shape[2:]):
        plane = values[(slice(None), slice(None), *index)]
        for axis in range(2):
            start = first[axis] - shifts[axis] * index[0]
            plane = _shifted(plane, axis, start, shape[axis], fill, padding)
        new[(slice(None), slice(None), *index)] = plane
    rows, columns, step = affine[:3, :3].T
    straight = affine.copy()
    straight[:3, 2] = step - shifts[0] * rows - shifts[1] * columns
    straight[:3, 3] = affine[:3, 3] + first[0] * rows + first[1] * columns
    return new, straight


def _shifts(affine: np.ndarray) -> tuple[float, float]:
    """Pixels along rows and columns by which a slice lies further than the one before."""
    rows, columns, step = affine[:3, :3].T
    shifts = (float(step @ axis) / float(axis @ axis) for axis in (rows, columns))
    first, second = (0.0 if abs(shift) < 1e-6 else shift for shift in shifts)
    return first, second


def _shifted(
    plane: np.ndarray,
    axis: int,
    start: float,
    size: int,
    fill: float,
    padding: tuple[float, float] | None,
) -> np.ndarray:
    """`size` pixels along an axis from position `start` of the plane on."""
    count = plane.shape[axis]
    if start == 0 and size == count:
        return plane
    at = start + np.arange(size)
    before = np.floor(at + 1e-9)
    share = float(at[0] - before[0])
    share = 0.0 if abs(share) < 1e-6 else share
    taps = [
        np.take(plane, np.clip(before + offset, 0, count - 1).astype(np.intp), axis)
        for offset in (-1, 0, 1, 2)
    ]
    t2, t3 = share**2, share**3
    weights = (
        (-share + 2 * t2 - t3) / 2,
        (2 - 5 * t2 + 3 * t3) / 2,
        (share + 4 * t2 - 3 * t3) / 2,
        (t3 - t2) / 2,
    )
    made = sum(np.float32(weight) * tap for weight, tap in zip(weights, taps, strict=True))
    low, high = np.fmin(taps[1], taps[2]), np.fmax(taps[1], taps[2])
    made = np.clip(made, low, high)
    if padding is not None:
        nearest = taps[1] if share < 0.5 else taps[2]
        beside = [(padding[0] <= tap) & (tap <= padding[1]) for tap in taps]
        made = np.where(np.logical_or.reduce(beside), nearest, made)
    outside = (at < -0.5 - 1e-6) | (at > count - 0.5 + 1e-6)
    selection = tuple(outside if index == axis else slice(None) for index in range(2))
    made[selection] = fill
    return np.asarray(made, dtype=np.float32)
