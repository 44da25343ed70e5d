"""Antialiased resampling of one axis to any spacing.

Networks enlarge by powers of 2; what was asked for lies somewhere below. The signal is taken for a
sum of the cosines of the discrete cosine transform, whose even continuation has no jump at the
ends of the field of view: a slab of slices is not periodic, and a Fourier series would ring at its
first and last slice. What the new grid cannot hold is left out, everything else is evaluated at
the new positions, so a band-limited signal comes out exact whatever the ratio.
"""

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from iconet.upscaling.regrid import positions


def resample_axis(
    volume: NDArray, axis: int, size: int, step: float, out: NDArray | None = None
) -> NDArray[np.float32]:
    """Evaluate a volume at evenly spaced positions along one axis, centred on the old ones.

    Args:
        volume: Real, two axes or more.
        axis: Which of them.
        size: Number of positions.
        step: From one to the next, in old voxels. Above 1 the band is cut at the new Nyquist
            frequency; below, nothing is.
        out: float32 of the new shape to write into, any strides; made when not given.

    Returns:
        `out`.
    """
    return weigh_axis(volume, axis, cosine_weights(volume.shape[axis], size, step), out)


def weigh_axis(
    volume: NDArray, axis: int, weights: NDArray[np.float32], out: NDArray | None = None
) -> NDArray[np.float32]:
    """Make each new voxel along one axis a weighted sum of the old ones.

    Args:
        volume: Real, two axes or more.
        axis: Which of them.
        weights: (old, new) voxels along it.
        out: As of `resample_axis`.
    """
    if out is None:
        new = weights.shape[1]
        shape = [new if index == axis else old for index, old in enumerate(volume.shape)]
        out = np.empty(shape, np.float32)
    before, after = np.moveaxis(volume, axis, -1), np.moveaxis(out, axis, -1)
    for index in range(len(before)):  # piece by piece: no second copy of the volume
        after[index] = before[index].astype(np.float32, copy=False) @ weights
    return out


@lru_cache(maxsize=8)
def cosine_weights(old: int, new: int, step: float) -> NDArray[np.float32]:
    """(old, new): the weight of every old voxel at every new position."""
    # A frequency k has k / (2 old) periods a voxel; rounding must not let the Nyquist one in.
    band = np.arange(min(old, max(1, ceil(old / step - 1e-6))))
    analysis = np.cos(np.pi / old * np.outer(np.arange(old) + 0.5, band)) * 2 / old
    analysis[:, 0] /= 2
    synthesis = np.cos(np.pi / old * np.outer(band, positions(old, new, step) + 0.5))
    return np.asarray(analysis @ synthesis, np.float32)
