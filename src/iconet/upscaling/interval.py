"""Where the truth is likely to lie, carried along with an image through what is done to it.

A network with an `IntervalHead` gives two bounds for every voxel. What changes the image afterwards
must change them alike: lower <= image <= upper holds after every operation.

- The laws of the result (`iconet.upscaling.fidelity`) move the image: both bounds move with it, and
  none leaves what no result may leave.
- Air that the network did not see is bounded by what detail there may be.
- A resampling is one of both bounds, by the weights of the image.
- Where another network enlarges further, what the first did not know is enlarged linearly. Both are
  taken as independent: distances add as the root of the sum of squares.
- Voxels that are put back, and a masked background, are what they are: both bounds are their value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from iconet.upscaling.fidelity import OVERSHOOT, enlarged, local_range

if TYPE_CHECKING:
    from iconet.upscaling.background import Frame


@dataclass(frozen=True)
class Bounds:
    """Both bounds of an image's voxels; arrays of its shape, to be written into.

    Attributes:
        lower: of the image's type.
        upper: likewise.
    """

    lower: NDArray
    upper: NDArray

    @classmethod
    def empty(cls, shape: Sequence[int], dtype: DTypeLike = np.float32) -> "Bounds":
        """Room for those of an image, which must have its type: none may cross it by rounding."""
        return cls(*(np.empty(shape, dtype, order="F") for _ in range(2)))

    @classmethod
    def zeros(cls, shape: Sequence[int]) -> "Bounds":
        """Those of an image that is 0, float32."""
        return cls(*(np.zeros(shape, np.float32, order="F") for _ in range(2)))

    @property
    def both(self) -> tuple[NDArray, NDArray]:
        """The lower and the upper one."""
        return self.lower, self.upper

    def of_volume(self, number: int) -> "Bounds":
        """Those of one volume of a series; of a single volume themselves."""
        if self.lower.ndim < 4:
            return self
        return Bounds(*(bound[..., number] for bound in self.both))

    def around(self, number: int, magnitude: NDArray, distances: NDArray) -> None:
        """Fill those of one slice of a magnitude image.

        Args:
            number: of the slice along the last axis.
            magnitude: (H, W).
            distances: (2, H, W), below and above.
        """
        self.lower[..., number] = np.maximum(magnitude - distances[0], 0)
        self.upper[..., number] = magnitude + distances[1]

    def hold(self, image: NDArray) -> None:
        """Widen them where the image lies beyond."""
        np.minimum(self.lower, image, out=self.lower)
        np.maximum(self.upper, image, out=self.upper)

    def widen(self, image: NDArray, before: NDArray, earlier: "Bounds") -> None:
        """Add what an earlier network did not know.

        Args:
            image: that these are of.
            before: that it was enlarged from.
            earlier: bounds of that.
        """
        for bound, first in zip(self.both, earlier.both, strict=True):
            distance = _on_grid(np.abs(before - first), image.shape)
            total = np.hypot(bound - image, distance)
            np.add(image, total if bound is self.upper else -total, out=bound)


def around_slice(
    high: NDArray,
    low: NDArray,
    distances: NDArray,
    frame: "Frame | None",
    least: float,
) -> tuple[NDArray, NDArray]:
    """Bounds of an enlarged slice.

    Args:
        high: (s h, s w), final but for its intensity scale.
        low: (h, w), the slice on the same scale.
        distances: (2, s h, s w) of the network, below and above; overwritten.
        frame: rows and columns of `low` that the network saw; None for none.
        least: no bound is lower.
    """
    if air := _beyond(frame, low.shape):
        import torch

        factor = len(high) // len(low)
        darkest, brightest = local_range(torch.from_numpy(low))
        span = OVERSHOOT * (brightest - darkest)
        for place in air:
            there = tuple(slice(factor * side.start, factor * side.stop) for side in place)
            lowest, highest = (
                enlarged(bound[place], factor).numpy()
                for bound in (darkest - span, brightest + span)
            )
            np.maximum(high[there] - lowest, 0, out=distances[0][there])
            np.maximum(highest - high[there], 0, out=distances[1][there])
    lower = np.subtract(high, distances[0], out=distances[0])
    upper = np.add(high, distances[1], out=distances[1])
    return np.maximum(lower, np.float32(least), out=lower), upper


def _beyond(frame: "Frame | None", shape: tuple[int, ...]) -> "list[Frame]":
    """What of a slice lies outside of a frame, as rectangles that do not overlap."""
    every, across = (slice(0, size) for size in shape)
    if frame is None:
        return [(every, across)]
    rows, columns = frame
    parts = [
        (slice(0, rows.start), across),
        (slice(rows.stop, every.stop), across),
        (rows, slice(0, columns.start)),
        (rows, slice(columns.stop, across.stop)),
    ]
    return [part for part in parts if all(side.start < side.stop for side in part)]


def _on_grid(volume: NDArray, shape: Sequence[int]) -> NDArray[np.float32]:
    """Linear interpolation of voxels that are not negative, the field of view kept."""
    found = np.asarray(volume, np.float32)
    for axis, (old, new) in enumerate(zip(volume.shape, shape, strict=True)):
        if old == new:
            continue
        places = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
        first = np.floor(places).astype(np.intp).clip(0, max(0, old - 2))
        share = (places - first).astype(np.float32)
        share = share.reshape([-1 if i == axis else 1 for i in range(volume.ndim)])
        second = (first + 1).clip(0, old - 1)
        found = found.take(first, axis) * (1 - share) + found.take(second, axis) * share
    return found
