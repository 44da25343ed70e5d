"""Maps of probabilities on another grid: within their range, and with sums that stay.

Each new voxel is a mean of the old ones around it, weighted linearly. So probabilities stay between
0 and 1, and where those of several tissues add up to 1 they still do.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from iconet.upscaling.regrid import positions
from iconet.upscaling.resampling import weigh_axis

MEMORY = 8
"""Bytes a voxel, old or new, that are needed on the way."""


def blend(volume: NDArray, out: NDArray, steps: Mapping[int, float]) -> None:
    """Evaluate a volume on another grid about the same centre.

    Args:
        volume: (I, J) or (I, J, K), real.
        out: float32 of the new size, written into.
        steps: from one new voxel to the next, in old ones, along each axis that changes.
    """
    low, high = volume.min(), volume.max()
    for axis, step in steps.items():
        volume = weigh_axis(volume, axis, _weights(volume.shape[axis], out.shape[axis], step))
    np.clip(volume, low, high, out=out)  # rounding


def _weights(old: int, new: int, step: float) -> NDArray[np.float32]:
    """(old, new): a triangle as wide as the wider of both voxels."""
    away = np.arange(old)[:, None] - positions(old, new, step).clip(0, old - 1)
    weights = np.maximum(1 - np.abs(away) / max(1.0, step), 0)
    return np.asarray(weights / weights.sum(axis=0), np.float32)
