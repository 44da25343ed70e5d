"""Voxels that are no measurement: set apart before the network, put back after it.

NaN, what lies outside of a CT's circle (-2000, -3024), and single voxels far beyond all others
would ring into their surroundings and move the intensity scale. The network is given what goes on
around them. Afterwards each of them is a block of output voxels again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.upscaling.regrid import nearest_voxels

SAMPLE = 200_000
"""Voxels that tell the range of a volume's values; more tell nothing more."""

OUTLIERS = 1e-3
"""Share of the voxels on either side that the range leaves out."""

FEW = 8
"""So many voxels, in 5 x 5 (x 5), can be wild; more are an object. The range leaves out as many."""

WILD = 10
"""Times the range, and the local range, that a wild voxel differs from its surroundings."""

CT_LOWEST = -1024
"""HU; scanners clip there."""

NEAR, FAR = 0.1, 1
"""Times the range that padding lies beyond all else: padding that is known as such, or guessed."""

REACH = 4
"""Halvings: true values go on for 16 voxels, and beyond is air."""

CHUNK = 4096
"""Voxels whose surroundings are looked at together."""

MEMORY = 5
"""Bytes a voxel of `Apart`."""

Range = tuple[float, float]
Indices = tuple[NDArray[np.intp], ...]


class SetApart(NamedTuple):
    """How many voxels of a scan were set apart.

    Attributes:
        nan: that are NaN.
        padding: of padding.
        padding_values: the least and the largest value of padding; None without any.
        wild: that are single and far beyond all others.
    """

    nan: int = 0
    padding: int = 0
    padding_values: Range | None = None
    wild: int = 0

    def __bool__(self) -> bool:
        return bool(self.nan or self.padding or self.wild)

    def and_of(self, other: "SetApart") -> "SetApart":
        """Of two volumes together."""
        ranges = [pair for pair in (self.padding_values, other.padding_values) if pair]
        return SetApart(
            self.nan + other.nan,
            self.padding + other.padding,
            (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None,
            self.wild + other.wild,
        )

    def __str__(self) -> str:
        """For people, such as "12,345 voxels of padding (-2000) and 3 wild voxels"."""
        of_padding = " to ".join(f"{value:g}" for value in sorted(set(self.padding_values or ())))
        kinds = {
            "{} of NaN": self.nan,
            f"{{}} of padding ({of_padding})": self.padding,
            "{} far beyond all others": self.wild,
        }
        parts = [
            kind.format(f"{count:,} voxel{'s' * (count != 1)}")
            for kind, count in kinds.items()
            if count
        ]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


@dataclass(frozen=True)
class Apart:
    """A volume without its voxels that are no measurement, and these.

    Attributes:
        volume: as it was.
        clean: float32, what goes on around them in their place.
        held: where NaN and padding are; None for nowhere.
        wild: the indices of wild voxels, one array an axis.
        found: how many.
    """

    volume: NDArray
    clean: NDArray[np.float32]
    held: NDArray[np.bool_] | None
    wild: Indices
    found: SetApart

    @classmethod
    def of(cls, volume: NDArray, padding: Range | None = None) -> "Apart | None":
        """Look for such voxels; None where there are none.

        Args:
            volume: (I, J) or (I, J, K), real, without Inf.
            padding: the range of padding, where the scan's header gives one; it counts where it
                lies beyond all else. Other padding is a constant in the volume's corners.
        """
        sample = _sample(volume)
        nan = np.isnan(volume) if np.isnan(volume.min()) else None
        padded, padding = _padding(volume, sample, padding)
        if padding is not None:
            sample = sample[(sample < padding[0]) | (sample > padding[1])]
        held = padded if nan is None else nan if padded is None else nan | padded
        wild, surroundings = _wild(volume, sample, held)
        if held is None and not len(surroundings):
            return None
        found = SetApart(_count(nan), _count(padded), padding, len(surroundings))
        clean = np.array(volume, np.float32)
        clean[wild] = surroundings
        if held is not None:
            # The darkest of a signed scan is its air.
            nothing = min(0.0, _range(sample)[0]) if len(sample) else 0.0
            _continue(clean, held, nothing)
        return cls(volume, clean, held, wild, found)

    def put_back(self, out: NDArray, ratios: Sequence[float]) -> None:
        """Give output voxels in them their values; of wild ones, what they have in excess.

        Args:
            out: what was made of `clean`, on a grid with the same centre.
            ratios: new over old spacing along each axis.
        """
        self._place(out, ratios, self.volume, 1)

    def take_out(self, out: NDArray, ratios: Sequence[float]) -> None:
        """The opposite: give output voxels in them the values of `clean`; see `put_back`."""
        self._place(out, ratios, self.clean, -1)

    def _place(self, out: NDArray, ratios: Sequence[float], source: NDArray, sign: int) -> None:
        nearest = [
            nearest_voxels(old, new, ratio)
            for old, new, ratio in zip(self.volume.shape, out.shape, ratios, strict=True)
        ]
        if self.held is not None:
            within = np.ix_(*nearest[:-1])
            for index, k in enumerate(nearest[-1]):
                here = self.held[..., k]
                if here.any():
                    np.copyto(out[..., index], source[..., k][within], where=here[within])
        excess = self.volume[self.wild] - self.clean[self.wild]
        for place, value in zip(np.transpose(self.wild), excess, strict=True):
            block = (
                slice(*np.searchsorted(along, (at, at + 1)))
                for along, at in zip(nearest, place, strict=True)
            )
            out[tuple(block)] += sign * value


def _count(mask: NDArray[np.bool_] | None) -> int:
    return 0 if mask is None else int(np.count_nonzero(mask))


def _sample(volume: NDArray) -> NDArray:
    """Evenly spaced voxels, about `SAMPLE`, without NaN."""
    step = max(1, round((volume.size / SAMPLE) ** (1 / volume.ndim)))
    sample = volume[(slice(None, None, step),) * volume.ndim].ravel()
    return sample[~np.isnan(sample)]


def _range(sample: NDArray) -> Range:
    """The least and the largest value but for outliers."""
    left_out = min(max(FEW, round(OUTLIERS * sample.size)), (sample.size - 1) // 10)
    places = left_out, sample.size - 1 - left_out
    low, high = np.partition(sample, places)[list(places)].tolist()
    return low, high


def _padding(
    volume: NDArray, sample: NDArray, known: Range | None
) -> tuple[NDArray[np.bool_] | None, Range | None]:
    """Where padding is, and its range: it lies beyond all else, and is not the 0 of an empty image.

    Padding that the header names may be a value that the scanner measures as well, such as -1024.
    """
    corners, counts = np.unique(volume[np.ix_(*[[0, -1]] * volume.ndim)], return_counts=True)
    most = float(corners[counts.argmax()])
    guessed = [(most, most)] if 2 * counts.max() >= 2**volume.ndim else []
    for low, high in [known, *guessed] if known else guessed:
        rest = sample[(sample < low) | (sample > high)]
        if low <= 0 <= high or not len(rest):
            continue
        darkest, brightest = _range(rest)
        trusted = (low, high) == known or high < CT_LOWEST
        # Unlike the background of z-scores, what was made up is round and farther from 0 than all.
        made_up = trusted or (low.is_integer() and abs(low) > max(-darkest, brightest))
        gap, spread = max(darkest - high, low - brightest), brightest - darkest
        if (
            made_up and spread and gap > (NEAR if trusted else FAR) * spread
        ):  # not a mask of 2 values
            padded = (volume >= low) & (volume <= high)
            if padded.any():
                return padded, (low, high)
    return None, None


def _wild(
    volume: NDArray, sample: NDArray, held: NDArray[np.bool_] | None
) -> tuple[Indices, NDArray[np.float32]]:
    """Indices of wild voxels, and the medians of what is around them."""
    indices, medians = [np.empty((0, volume.ndim), np.intp)], [np.empty(0)]
    low, high = _range(sample) if len(sample) else (0.0, 0.0)
    spread = WILD * (high - low)
    bottom, top = low - spread, high + spread
    if spread and not (held is None and volume.min() >= bottom and volume.max() <= top):
        beyond = (volume < bottom) | (volume > top)
        if held is not None:
            beyond &= ~held
        left_out = beyond if held is None else beyond | held
        candidates = np.argwhere(beyond)
        for start in range(0, len(candidates), CHUNK):
            some = candidates[start : start + CHUNK]
            around = _around(some, volume.shape, 5)
            some = some[(beyond[around].sum(axis=1) <= FEW) & ~left_out[around].all(axis=1)]
            others = _others(volume, left_out, some, 5)
            middle = np.nanmedian(others, axis=1)
            local = np.nanmax(others, axis=1) - np.nanmin(others, axis=1)
            far = np.abs(volume[tuple(some.T)] - middle) > np.maximum(spread, WILD * local)
            next_to = _others(volume, left_out, some[far], 3)
            lonely = np.isnan(next_to).all(axis=1)
            next_to[lonely] = middle[far][lonely, None]
            indices.append(some[far])
            medians.append(np.nanmedian(next_to, axis=1))
    return tuple(np.concatenate(indices).T), np.concatenate(medians).astype(np.float32)


def _others(
    volume: NDArray, left_out: NDArray[np.bool_], places: NDArray[np.intp], width: int
) -> NDArray:
    """Values (N, width x width (x width)) around places, NaN for what is left out."""
    around = _around(places, volume.shape, width)
    return np.where(left_out[around], np.float32(np.nan), volume[around])


def _around(places: NDArray[np.intp], shape: Sequence[int], width: int) -> Indices:
    """Indices (N, width x width (x width)) of the voxels around places (N, axes).

    At a border they are moved inwards; fewer are in a narrow volume.
    """
    sizes = [min(size, width) for size in shape]
    starts = np.clip(places - width // 2, 0, np.subtract(shape, sizes))
    steps = np.indices(sizes).reshape(len(shape), -1)
    return tuple(start[:, None] + step for start, step in zip(starts.T, steps, strict=True))


def _continue(volume: NDArray[np.float32], held: NDArray[np.bool_], nothing: float) -> None:
    """Write into held voxels the means of the others in the smallest block that has any.

    An edge that is none would ring. Beyond `REACH` follows `nothing`.
    """
    free = ~held
    volume[held] = 0
    blocks = _means(_halved(volume), _halved(free.astype(np.uint16)), nothing, REACH - 1)
    np.copyto(volume, _doubled(blocks, volume.shape), where=held)


def _means(sums: NDArray, counts: NDArray, nothing: float, reach: int) -> NDArray[np.float32]:
    """Sums over counts; where these are 0, those of the smallest larger block that has any."""
    beyond: NDArray | float = nothing
    if reach:
        larger = _means(_halved(sums), _halved(counts), nothing, reach - 1)
        beyond = _doubled(larger, sums.shape)
    return np.where(counts > 0, sums / np.maximum(counts, 1), beyond).astype(np.float32)


def _halved(array: NDArray) -> NDArray:
    """Sums of neighbours, two by two along every axis; the last one of an odd number alone."""
    for axis in range(array.ndim):
        pairs = np.moveaxis(array, axis, 0)
        first, second = pairs[0::2].copy(), pairs[1::2]
        first[: len(second)] += second
        array = np.moveaxis(first, 0, axis)
    return array


def _doubled(array: NDArray, shape: Sequence[int]) -> NDArray:
    """Every value twice along every axis, cut to a shape."""
    for axis, size in enumerate(shape):
        array = array.repeat(2, axis)[(slice(None),) * axis + (slice(size),)]
    return array
