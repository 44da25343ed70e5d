"""Upscaling a whole scan, as planned."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

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
from iconet.upscaling.labels import LostLabelsError
from iconet.upscaling.models import Models
from iconet.upscaling.operations import Operation, memory_between, operations
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
    needed = memory_between(chain, shape) + MEMORY * math.prod(shape)
    require_memory_to_upscale(scan, math.prod(plan.shape) * volumes, needed)
    total = volumes * _windows(chain, shape)
    finished = 0

    def advance(done: int, _: int) -> None:
        if progress is not None:
            progress(finished + done, total)

    def fill(volume: NDArray, out: NDArray) -> None:
        nonlocal finished
        # Labels are names, of which none is far beyond others; probabilities have their range.
        whole = plan.kind.labels or (plan.kind.name == PROBABILITIES and not np.isnan(volume).any())
        apart = None if whole else Apart.of(volume, scan.padding)
        image = clean = volume if apart is None else apart.clean
        for operation in chain:
            windows = operation.windows(image.shape)
            image = operation(image, out if operation is chain[-1] else None, advance)
            finished += windows
        if (plan.resampled or plan.recovery is not None) and not plan.kind.labels:
            keep_background(clean, out, plan.across, plan.ratios)
        if apart is not None:
            apart.put_back(out, plan.ratios)
            if note is not None:
                note(apart.found)

    with _memory_errors(scan, compute):
        made = regrid(scan, plan.shape, plan.ratios, fill)
    names = [model.name or "weights of a user" for model in taking_part(plan, models)]
    return replace(made, mark=mark(" + ".join(names) or None, plan.finest))


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
