"""Labels on another grid: no value that was not there, and no label that goes missing.

Where an axis becomes finer the new voxels vote: each takes the label to which the old voxels around
it, weighted by a cubic B-spline, give most. That smooths the stairs of a boundary. It would also
round off what is thin or small. So an old voxel that lies in no block of two voxels a side of its
label keeps it in all of its new voxels, and any other one in three quarters of them, those where
the vote against it is weakest (docs/experiments, 143).

Along one axis alone there is nothing to smooth but what the neighbours in the plane say; so there
they vote too. Where an axis becomes coarser each new voxel takes the label that fills most of it.

Only voxels beside another label are looked at, some thousand at a time, so that the memory depends
on the number of voxels alone, not on that of labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

from iconet.upscaling.fidelity import spread
from iconet.upscaling.regrid import nearest_voxels, positions

KEPT = 0.75
"""Share of its new voxels that an old one keeps."""

CHUNK = 16_384
"""Voxels that vote at a time."""

MEMORY = 16
"""Bytes a voxel, old or new, that are needed on the way."""


class LostLabelsError(Exception):
    """The new grid has too few voxels for every label to keep one."""


def relabel(volume: NDArray, out: NDArray, steps: Mapping[int, float]) -> None:
    """Put labels on another grid about the same centre.

    Args:
        volume: (I, J) or (I, J, K); any values, which may hold NaN.
        out: of the new size, written into.
        steps: from one new voxel to the next, in old ones, along each axis that changes.

    Raises:
        LostLabelsError: the new grid has too few voxels to hold every label.
    """
    values = np.unique(volume)
    given = np.searchsorted(values, volume).astype(np.int32)
    finer = {axis: step for axis, step in steps.items() if step < 1}
    coarser = {axis: step for axis, step in steps.items() if step >= 1}
    codes = given
    if finer:
        sizes = [out.shape[a] if a in finer else size for a, size in enumerate(volume.shape)]
        codes = _finer(codes, sizes, finer)
    if coarser:
        codes = _coarser(codes, out.shape, coarser)
        _bring_back(codes, given, steps, values)
    for index in range(out.shape[-1]):
        out[..., index] = values[codes[..., index]]


def _finer(codes: NDArray, sizes: Sequence[int], steps: Mapping[int, float]) -> NDArray:
    """Codes of labels where some axes are finer and none is coarser."""
    places = [
        nearest_voxels(old, new, steps.get(axis, 1.0))
        for axis, (old, new) in enumerate(zip(codes.shape, sizes, strict=True))
    ]
    voting = [axis for axis in range(codes.ndim) if axis in steps or len(steps) == 1]
    axes = [
        _Axis(old, place, steps.get(axis, 1.0), votes=axis in voting)
        for axis, (old, place) in enumerate(zip(codes.shape, places, strict=True))
    ]
    new = codes[np.ix_(*places)]
    padded = np.pad(codes, [(axis.reach, axis.reach) for axis in axes], mode="edge")
    boundary = np.nonzero(_beside_another(codes, voting))
    for start in range(0, len(boundary[0]), CHUNK):
        _vote(padded, [index[start : start + CHUNK] for index in boundary], axes, new)
    return new


class _Axis:
    """How the new voxels of each old one lie along an axis.

    Attributes:
        first: (old,) the first new voxel of each old one.
        count: (old,) how many there are.
        reach: so many old voxels to each side vote: 1, or 0 if they do not.
        weights: (old, most new, taps): of the old voxels around, at each of its new ones.
    """

    def __init__(self, old: int, places: NDArray, step: float, *, votes: bool) -> None:
        self.first = np.searchsorted(places, np.arange(old))
        self.count = np.bincount(places, minlength=old)
        self.reach = int(votes)
        most = int(self.count.max())
        if not votes:
            self.weights = np.ones((old, most, 1), np.float32)
            return
        new = np.minimum(self.first[:, None] + np.arange(most), len(places) - 1)
        away = positions(old, len(places), step)[new] - np.arange(old)[:, None]
        weights = _spline(np.abs(away.clip(-0.5, 0.5)[..., None] - np.array([-1, 0, 1])))
        self.weights = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def _spline(distance: NDArray) -> NDArray:
    """The cubic B-spline."""
    near = 2 / 3 - distance**2 + distance**3 / 2
    return np.where(distance < 1, near, np.maximum(2 - distance, 0) ** 3 / 6)


def _beside_another(codes: NDArray, axes: Sequence[int]) -> NDArray[np.bool_]:
    """Where one of the voxels around, along these axes, has another label."""
    low, high = codes, codes
    for axis in axes:
        low, high = spread(low, axis, np.minimum), spread(high, axis, np.maximum)
    return np.asarray(low != high)


def _vote(padded: NDArray, cells: Sequence[NDArray], axes: Sequence[_Axis], new: NDArray) -> None:
    """Let the new voxels of some old ones vote, in place.

    Args:
        padded: codes, with as many voxels more on each side as vote.
        cells: indices of the old voxels along each axis.
        axes: of the grids.
        new: codes on the new grid, those of the nearest old voxel.
    """
    ones = [1] * len(axes)
    around = np.ix_(*[np.arange(2 * axis.reach + 1) for axis in axes])
    pairs = zip(cells, around, strict=True)
    near = padded[tuple(cell.reshape(-1, *ones) + offset for cell, offset in pairs)]
    own = near.reshape(len(near), -1)[:, near[0].size // 2]
    same = near == own.reshape(-1, *ones)
    solid = _solid(same)
    if not solid.any():
        return
    near, own, same = near[solid], own[solid], same[solid]
    cells = [cell[solid] for cell in cells]
    weights = [axis.weights[cell] for axis, cell in zip(axes, cells, strict=True)]
    support = _votes(same, weights)
    rival, winner = np.full_like(support, -1), np.zeros(support.shape, new.dtype)
    for rows, label in _labels_among(near.reshape(len(near), -1), but=own):
        votes = _votes(near[rows] == label.reshape(-1, *ones), [each[rows] for each in weights])
        better = votes > rival[rows]
        rival[rows] = np.where(better, votes, rival[rows])
        winner[rows] = np.where(better, label[:, None], winner[rows])
    counts = [axis.count[cell] for axis, cell in zip(axes, cells, strict=True)]
    row, index = np.nonzero(_outvoted(support - rival, counts, [w.shape[1] for w in weights]))
    parts = np.unravel_index(index, [each.shape[1] for each in weights])
    firsts = [axis.first[cell][row] for axis, cell in zip(axes, cells, strict=True)]
    places = tuple(first + part for first, part in zip(firsts, parts, strict=True))
    new[places] = winner[row, index]


def _solid(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,): whether old voxels lie in a block of two voxels a side of their label.

    Args:
        same: (N, 3 or 1, ...), which of the voxels around have their label.
    """
    blocks = [[slice(2), slice(1, 3)] if size > 1 else [slice(None)] for size in same.shape[1:]]
    within = tuple(range(1, same.ndim))
    return np.any([same[:, *block].all(axis=within) for block in product(*blocks)], axis=0)


def _votes(indicator: NDArray, weights: Sequence[NDArray]) -> NDArray[np.float32]:
    """(N, new voxels): the votes of the voxels (N, ...) around for a label."""
    votes = indicator.astype(np.float32)
    for each in weights:  # takes the first axis and adds one at the end
        if (each == each[:1]).all():  # whole factors
            votes = np.tensordot(votes, each[0], axes=(1, 1))
        else:
            votes = np.einsum("na...,nia->n...i", votes, each)
    return votes.reshape(len(votes), -1)


def _labels_among(near: NDArray, but: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """One label after another of each row (N, voxels), with the rows that have one more.

    Voxels at a boundary have one or two other labels around them, however many there are.
    """
    none = np.iinfo(near.dtype).max
    rows, last = np.arange(len(near)), np.full(len(near), -1)
    while rows.size:
        other = (near[rows] > last[rows, None]) & (near[rows] != but[rows, None])
        label = np.where(other, near[rows], none).min(axis=1)
        rows, label = rows[label < none], label[label < none]
        last[rows] = label
        if rows.size:
            yield rows, label


def _outvoted(margin: NDArray, counts: Sequence[NDArray], most: Sequence[int]) -> NDArray[np.bool_]:
    """Which new voxels (N, all) lose the label of their old one.

    Args:
        margin: votes for it, less those for another one.
        counts: along each axis, how many new voxels the old ones have.
        most: along each axis, how many there is room for in `margin`.
    """
    there = np.ones((len(margin), 1), bool)
    for count, room in zip(counts, most, strict=True):
        there = (there[:, :, None] & (np.arange(room) < count[:, None])[:, None]).reshape(
            len(margin), -1
        )
    ranks = np.argsort(np.argsort(np.where(there, -margin, np.inf), axis=1), axis=1)
    kept = np.ceil(KEPT * there.sum(axis=1, keepdims=True))
    return there & (margin < 0) & (ranks >= kept)


def _coarser(codes: NDArray, shape: Sequence[int], steps: Mapping[int, float]) -> NDArray:
    """Codes of labels where some axes are coarser: those that fill most of each new voxel."""
    covered = [
        _covered(old, new, steps.get(axis, 1.0))
        for axis, (old, new) in enumerate(zip(codes.shape, shape, strict=True))
    ]
    result = np.empty(shape, codes.dtype)
    ones = [1] * len(covered)
    for start in range(0, result.size, CHUNK):
        cells = np.unravel_index(np.arange(start, min(start + CHUNK, result.size)), shape)
        near, share = [], np.ones((len(cells[0]), *ones))
        for axis, ((old, part), cell) in enumerate(zip(covered, cells, strict=True)):
            form = [len(cell), *ones]
            form[axis + 1] = -1
            near.append(old[cell].reshape(form))
            share = share * part[cell].reshape(form)
        labels = codes[tuple(near)].reshape(len(cells[0]), -1)
        share = share.reshape(labels.shape)
        most, winner = np.full(len(labels), -1.0), np.zeros(len(labels), codes.dtype)
        for rows, label in _labels_among(labels, but=np.full(len(labels), -1)):
            filled = np.where(labels[rows] == label[:, None], share[rows], 0).sum(axis=1)
            better = filled > most[rows] + 1e-6
            most[rows] = np.where(better, filled, most[rows])
            winner[rows] = np.where(better, label, winner[rows])
        result[cells] = winner
    return result


def _covered(old: int, new: int, step: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(new, taps) old voxels that each new one covers along an axis, and how much of them."""
    begin = positions(old, new, step)[:, None] - step / 2
    voxels = np.floor(begin + 0.5) + np.arange(ceil(step) + 1)
    share = np.minimum(begin + step, voxels + 0.5) - np.maximum(begin, voxels - 0.5)
    return voxels.clip(0, old - 1).astype(np.intp), share.clip(min=0)


def _bring_back(
    codes: NDArray, given: NDArray, steps: Mapping[int, float], values: NDArray
) -> None:
    """Give labels that filled most of no new voxel the one that they fill most of, in place."""
    counts = np.bincount(codes.ravel(), minlength=len(values))
    lost = np.flatnonzero(counts == 0)
    taken: set[tuple[int, ...]] = set()
    homeless = []
    for label in lost:
        places = [
            np.rint((found - (old - 1) / 2) / steps.get(axis, 1.0) + (new - 1) / 2)
            .astype(int)
            .clip(0, new - 1)
            for axis, (found, old, new) in enumerate(
                zip(np.nonzero(given == label), given.shape, codes.shape, strict=True)
            )
        ]
        cells, filled = np.unique(np.stack(places), axis=1, return_counts=True)
        for cell in (tuple(map(int, each)) for each in cells[:, np.argsort(-filled)].T):
            if cell not in taken and counts[codes[cell]] > 1:
                counts[codes[cell]] -= 1
                codes[cell], counts[label] = label, 1
                taken.add(cell)
                break
        else:
            homeless.append(f"{values[label]:g}")
    if homeless:
        raise LostLabelsError(
            f"too coarse a grid for labels {', '.join(homeless[:9])}; give a finer spacing"
        )
