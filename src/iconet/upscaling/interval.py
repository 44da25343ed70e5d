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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from iconet.intensity import SPIKE
from iconet.upscaling.background import frame_of_object
from iconet.upscaling.fidelity import OVERSHOOT, local_range
from iconet.zoo.model import SMALLEST

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet
    from iconet.peers import Peer
    from iconet.upscaling.background import Frame

SLICES = 5
"""That tell how the slices of a scan lost their resolution, evenly spaced over its middle."""


@dataclass(frozen=True)
class Bounds:
    """Both bounds of an image's voxels; arrays of its shape, to be written into.

    Integers are rounded away from the image: they take half of the memory, and are stored so.

    Attributes:
        lower: of the image's type, or integers.
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

    def write(self, number: int, pair: NDArray) -> None:
        """Fill those of one slice along the first axis.

        Args:
            number: of the slice.
            pair: (2, H, W) float32; overwritten.
        """
        for values, bound, outwards in zip(pair, self.both, (np.floor, np.ceil), strict=True):
            if bound.dtype.kind in "iu":
                _round(values, outwards, bound.dtype)
            put(values, bound[number])

    def change(self, image: NDArray, how: Callable[[NDArray], None]) -> None:
        """Change both as the image was changed, in place; they hold it afterwards.

        Args:
            image: after the change.
            how: changes an array in place.
        """
        for bound, outer, outwards in zip(
            self.both, (np.minimum, np.maximum), (np.floor, np.ceil), strict=True
        ):
            exact = bound.astype(image.dtype) if bound.dtype.kind in "iu" else bound
            how(exact)
            outer(exact, image, out=exact)
            if exact is not bound:
                _round(exact, outwards, bound.dtype)
                bound[...] = exact

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


def mean_strengths(stack: NDArray, levels: Mapping[int, tuple[float, float]]) -> "Tensor | None":
    """What tells how slices lost their resolution, the mean over some of them.

    Args:
        stack: (N, H, W), real.
        levels: by the number of a slice, what stands in it for nothing and for something bright;
            slices without are constant.

    Returns:
        (F,), see `iconet.network.description.strengths`; None where all slices that were looked at
        are empty or small.
    """
    import torch

    from iconet.network.description import strengths

    numbers = sorted(levels)
    middle = numbers[len(numbers) // 4 : len(numbers) - len(numbers) // 4]
    found = []
    for number in {middle[round(at)] for at in np.linspace(0, len(middle) - 1, SLICES)}:
        dark, bright = levels[number]
        image = ((stack[number] - dark) / (bright - dark)).astype(np.float32).clip(*SPIKE)
        frame = frame_of_object([image], image.shape)
        if frame is not None and min(image[frame].shape) >= SMALLEST:
            found.append(
                strengths(torch.from_numpy(np.ascontiguousarray(image[frame]))[None, None])
            )
    return torch.cat(found).mean(0) if found else None


def widening(network: "ICONet | Peer", strengths: "Tensor | None") -> NDArray[np.float32]:
    """Factors of the distances below and above, see `iconet.network.IntervalHead.widened`."""
    head = getattr(network, "interval_head", None)
    if head is None or strengths is None:
        return np.ones(2, np.float32)
    found = head.widened(strengths[None].to(head.widening.device))
    return np.asarray(found[0].detach().cpu().numpy())


def around_slice(
    high: NDArray,
    low: NDArray,
    points: "Tensor",
    factors: NDArray[np.float32],
    frame: "Frame | None",
    least: float,
) -> NDArray[np.float32]:
    """Bounds of an enlarged slice.

    Args:
        high: (s h, s w), final but for its intensity scale.
        low: (h, w), the slice on the same scale.
        points: (2, s h / 2, s w / 2), distances of the network at the points of its last stage.
        factors: (2,), by which they are multiplied.
        frame: rows and columns of `low` that the network saw; None for none.
        least: no bound is lower, but where the slice itself is.

    Returns:
        (2, s h, s w), the lower and the upper one.
    """
    import torch

    from iconet.network.grids import enlarge

    if not high.flags.c_contiguous and high.flags.f_contiguous:  # as slices of volumes are
        turned = None if frame is None else frame[::-1]
        return around_slice(high.T, low.T, points.mT, factors, turned, least).swapaxes(1, 2)
    factor = len(high) // len(low)
    found = np.empty((2, *high.shape), np.float32)
    if frame is not None:
        rows, columns = (slice(factor * side.start // 2, factor * side.stop // 2) for side in frame)
        seen = points[:, rows, columns] * torch.from_numpy(factors)[:, None, None]
        below, above = enlarge(seen[None], 2)[0].numpy()
        there = tuple(slice(factor * side.start, factor * side.stop) for side in frame)
        image, (lower, upper) = high[there], found[(slice(None), *there)]
        np.subtract(image, below, out=below)
        np.maximum(below, np.float32(least), out=below)
        np.minimum(below, image, out=lower)
        np.add(image, above, out=upper)
    if air := _beyond(frame, low.shape):
        darkest, brightest = (part.numpy() for part in local_range(torch.from_numpy(low)))
        span = OVERSHOOT * (brightest - darkest)
        lowest, highest = np.maximum(darkest - span, np.float32(least)), brightest + span
        for place in air:
            there = tuple(slice(factor * side.start, factor * side.stop) for side in place)
            lower, upper = found[(slice(None), *there)]
            _outermost(high[there], lowest[place], np.minimum, lower)
            _outermost(high[there], highest[place], np.maximum, upper)
    return found


def _outermost(image: NDArray, bound: NDArray, outer: np.ufunc, out: NDArray) -> None:
    """The outer one of (f h, f w) and of a bound (h, w) that holds for f x f voxels."""
    height, width = bound.shape
    columns = np.repeat(bound, image.shape[1] // width, axis=1)[:, None]
    rows = height, image.shape[0] // height, image.shape[1]
    outer(columns, image.reshape(rows), out=out.reshape(rows))


def _round(values: NDArray, outwards: np.ufunc, dtype: np.dtype) -> None:
    """To integers that a type holds, in place."""
    limits = np.iinfo(dtype)
    outwards(values, out=values)
    if values.min() < limits.min or values.max() > limits.max:
        np.clip(values, limits.min, limits.max, out=values)


def put(image: NDArray, place: NDArray) -> None:
    """Copy a slice into a volume, where it lies the other way: torch does that blockwise."""
    import torch

    torch.from_numpy(place).copy_(torch.from_numpy(image))


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
