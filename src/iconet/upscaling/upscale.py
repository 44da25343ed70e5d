"""Upscaling a whole scan, as planned."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.kind.kinds import PROBABILITIES
from iconet.images.memory import require_memory_to_upscale
from iconet.images.own import mark
from iconet.runtime.device import Compute
from iconet.upscaling.apart import MEMORY, Apart, SetApart
from iconet.upscaling.fidelity import keep_background
from iconet.upscaling.interval import Bounds
from iconet.upscaling.labels import LostLabelsError
from iconet.upscaling.models import Models
from iconet.upscaling.operations import (
    Enlarging,
    Operation,
    carry_bounds,
    memory_between,
    operations,
)
from iconet.upscaling.options import Options
from iconet.upscaling.plan import GridPlan, taking_part
from iconet.upscaling.regrid import regrid
from iconet.upscaling.slices import Progress


def upscale_scan(
    scan: Scan,
    plan: GridPlan,
    models: Models,
    compute: Compute,
    options: Options,
    *,
    progress: Progress | None = None,
    note: Callable[[SetApart], None] | None = None,
) -> Scan:
    """Upscale a scan that has been read, as planned.

    Args:
        scan: the scan.
        plan: of `plan_grid` for this scan, these models and options.
        models: the networks.
        compute: device, precision and runtime.
        options: how large slices are cut.
        progress: see `iconet.upscale`.
        note: called with what was set apart, for every volume of which something was.

    Returns:
        A float32 scan that remembers the on-disk type of the input.

    Raises:
        InputError: memory is too small.
    """
    chain = operations(plan, models, compute, options)
    shape, volumes = scan.array.shape[:3], math.prod(scan.array.shape[3:])
    uncertain = options.uncertainty and bool(plan.steps)
    _require_memory(scan, plan, chain, arrays=3 if uncertain else 1)
    bounds = _room(scan, plan, chain) if uncertain else None
    advance, filled = _Advance(progress or _nobody, volumes * _windows(chain, shape)), count()

    def fill(volume: NDArray, out: NDArray) -> None:
        # Labels are names, of which none is far beyond others; probabilities have their range.
        whole = plan.kind.labels or (plan.kind.name == PROBABILITIES and not np.isnan(volume).any())
        apart = None if whole else Apart.of(volume, scan.padding)
        clean = volume if apart is None else apart.clean
        within = None if bounds is None else bounds.of_volume(next(filled))
        _through(chain, clean, out, within, advance)
        if (plan.resampled or plan.recovery is not None) and not plan.kind.labels:
            keep_background(clean, [out, *_both(within)], plan.across, plan.ratios)
        if apart is not None:
            apart.put_back(out, plan.ratios)
            if within is not None:
                within.change(out, lambda bound: apart.put_back(bound, plan.ratios))
            if note is not None:
                note(apart.found)

    with _memory_errors(scan, compute):
        made = regrid(scan, plan.shape, plan.ratios, fill)
    names = [model.name or "weights of a user" for model in taking_part(plan, models)]
    both = None if bounds is None else bounds.both
    return replace(made, mark=mark(" + ".join(names) or None, plan.finest), bounds=both)


@dataclass
class _Advance:
    """The progress of operations, one after the other.

    Attributes:
        tell: called with (done, in all).
        total: of all operations on all volumes.
        finished: of those before the one at work.
    """

    tell: Progress
    total: int
    finished: int = 0

    def __call__(self, done: int, _: int) -> None:
        self.tell(self.finished + done, self.total)


def _through(
    chain: Sequence[Operation],
    image: NDArray,
    out: NDArray,
    within: Bounds | None,
    advance: _Advance,
) -> None:
    """Fill `out`, and its bounds if these are wanted, by one operation after the other."""
    around: Bounds | None = None
    for operation in chain:
        windows, before, last = operation.windows(image.shape), image, operation is chain[-1]
        room = within if last or within is None else Bounds.empty(operation.shape(image.shape))
        given = {"bounds": room} if isinstance(operation, Enlarging) else {}
        image = operation(before, out if last else None, advance, **given)
        if room is not None:
            around = carry_bounds(operation, before, image, around, room)
        advance.finished += windows


def _room(scan: Scan, plan: GridPlan, chain: Sequence[Operation]) -> Bounds:
    """For the bounds of all volumes: of the type that `regrid` makes, or as they will be stored."""
    shape = (*plan.shape, *scan.array.shape[3:])
    last = chain[-1]
    written_once = isinstance(last, Enlarging) and len(last.step.axes) == 2
    if written_once and len(plan.steps) == 1 and scan.stored_integers:
        return Bounds.empty(shape, scan.dtype.newbyteorder("="))
    return Bounds.empty(shape, np.float64 if scan.array.dtype == np.float64 else np.float32)


def _nobody(done: int, total: int) -> None:
    """Wants to know the progress."""


def _require_memory(scan: Scan, plan: GridPlan, chain: Sequence[Operation], arrays: int) -> None:
    """For so many arrays of the result: the image alone, or with both of its bounds."""
    shape, voxels = scan.array.shape[:3], math.prod((*plan.shape, *scan.array.shape[3:]))
    needed = arrays * memory_between(chain, shape) + MEMORY * math.prod(shape)
    require_memory_to_upscale(scan, arrays * voxels, needed)


def _both(bounds: Bounds | None) -> tuple[NDArray, ...]:
    """Both bounds, where there are any."""
    return () if bounds is None else bounds.both


@contextmanager
def _memory_errors(scan: Scan, compute: Compute) -> Iterator[None]:
    from torch import OutOfMemoryError

    try:
        yield
    except LostLabelsError as error:
        raise InputError(f"{scan.name}: {error}") from None
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{scan.name}: the memory of {compute.device} is too small: try --tile 128 or the CPU"
        ) from None


def _windows(chain: Sequence[Operation], shape: tuple[int, ...]) -> int:
    """How much of the progress the operations are, one after the other."""
    total = 0
    for operation in chain:
        total, shape = total + operation.windows(shape), operation.shape(shape)
    return total
