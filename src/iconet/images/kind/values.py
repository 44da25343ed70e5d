"""What the values of a scan say of its kind."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

AIR, SOFT, BONE = (-1100, -900), (-200, 200), (900, 1100)  # Hounsfield units
LEAST_AIR, LEAST_SOFT = 0.05, 0.1  # of all voxels
SAMPLED = 64  # positions along an axis that are looked at
SLICES = 16  # slices whose neighbouring voxels are compared
# Share of neighbours of one value: of labels most, of noisy images few. Few values are surer.
ALIKE = ((16, 0.2), (64, 0.5))
ALIKE_OF_MANY = 0.6  # of more values, and then
FAR = 3  # values between those of two neighbours, in the median; smooth images of 8 bits have fewer
PHASES = ((-np.pi, np.pi), (0.0, 2 * np.pi), (-4096.0, 4095.0), (0.0, 4095.0))
FILLED = 0.97  # share of its range that a phase uses
JUMP, JUMPS = 0.8, 2e-3  # share of that range, and of the neighbours that differ by it


def in_hounsfield_units(array: NDArray) -> bool:
    """Whether values are those of CT: much air, much soft tissue, and nothing below air.

    No other image has air near -1000 and soft tissue near 0. Phases and field maps are as often
    positive as negative; only CT has more air than bone. What lies outside of a scanner's circle
    has one value, the least.
    """
    if np.fmin.reduce(array, axis=None) > AIR[1]:
        return False
    sample = _sample(array)

    def share(low: float, high: float) -> float:
        return float(np.mean((low <= sample) & (sample <= high)))

    below = float(np.mean((sample < AIR[0]) & (sample > sample.min())))
    air = share(*AIR)
    return air >= LEAST_AIR and share(*SOFT) >= LEAST_SOFT and air > 3 * max(share(*BONE), below)


def whole(array: NDArray) -> bool:
    """Whether all values are whole numbers, or NaN."""
    return all(bool(np.all((part == np.rint(part)) | np.isnan(part))) for part in _parts(array))


def within(array: NDArray, low: float, high: float) -> bool:
    """Whether all values are in a range, or NaN."""
    least, most = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
    return bool(low <= least and most <= high)


def of_two_values(array: NDArray) -> bool:
    """Whether all values are one of two, or NaN."""
    values = np.unique(_sample(array))
    values = np.unique([*values[:3], np.fmin.reduce(array, axis=None), np.fmax.reduce(array, None)])
    values = values[np.isfinite(values)]
    if len(values) > 2:
        return False
    low, high = values[0], values[-1]
    return all(bool(np.all((p == low) | (p == high) | np.isnan(p))) for p in _parts(array))


def labels_like(array: NDArray) -> int:
    """How many values take nearly all voxels in connected regions; 0 if this is an image.

    Neighbouring voxels of an image differ, by its noise at least. The most frequent value, the
    background, tells nothing.
    """
    slices = _slices(array)
    if not whole(slices):
        return 0
    values, background = _values(slices)
    if len(values) < 2:
        return 0
    alike = pairs = 0
    for one, other in _neighbours(slices):
        counted = (one != background) | (other != background)
        pairs += int(np.count_nonzero(counted))
        alike += int(np.count_nonzero(counted & (one == other)))
    few = next((share for most, share in ALIKE if len(values) <= most), None)
    found = alike > (few or ALIKE_OF_MANY) * pairs and (few or _far_apart(slices, values))
    return len(values) if found and whole(array) else 0


def _values(slices: NDArray) -> tuple[NDArray, float]:
    """The values of whole numbers, sorted, and the most frequent of them."""
    low, high = np.fmin.reduce(slices, axis=None), np.fmax.reduce(slices, axis=None)
    if high - low < slices.size:  # quicker than to sort them
        counts = np.bincount(np.nan_to_num(slices - low).astype(np.intp).ravel())
        values = np.flatnonzero(counts) + low
        return values, float(values[np.argmax(counts[counts > 0])])
    values, counts = np.unique(slices, return_counts=True)
    return values, float(values[np.argmax(counts)])


def _far_apart(slices: NDArray, values: NDArray) -> bool:
    """Whether most neighbours that differ have several of the sorted values between theirs."""
    ranks = np.searchsorted(values, slices)
    steps = np.concatenate([np.abs(one - other).ravel() for one, other in _neighbours(ranks)])
    return bool(np.median(steps[steps > 0]) > FAR)


def phase_like(array: NDArray) -> bool:
    """Whether values fill the range of a phase and jump from one end of it to the other."""
    least, most = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
    for low, high in PHASES:
        slack = 1e-3 * (high - low)
        if low - slack <= least and most <= high + slack and most - least >= FILLED * (high - low):
            pairs = list(_neighbours(_slices(array)))
            jumps = sum(int(np.count_nonzero(abs(a - b) > JUMP * (high - low))) for a, b in pairs)
            if jumps > JUMPS * sum(a.size for a, _ in pairs):
                return True
    return False


def _sample(array: NDArray) -> NDArray:
    return array[tuple(slice(None, None, max(1, n // SAMPLED)) for n in array.shape)]


def _slices(array: NDArray) -> NDArray:
    """Some whole slices (I, J, N) of the first volume, evenly spread."""
    volume = array[..., 0] if array.ndim == 4 else array
    if volume.ndim == 2:
        return volume[..., None]
    return volume[..., :: max(1, volume.shape[2] // SLICES)]


def _neighbours(slices: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Along both axes, on every third line."""
    yield slices[1:, ::3], slices[:-1, ::3]
    yield slices[::3, 1:], slices[::3, :-1]


def _parts(array: NDArray) -> Iterator[NDArray]:
    """Piece by piece, so that no second copy is made."""
    for index in range(array.shape[-1]):
        yield array[..., index]
