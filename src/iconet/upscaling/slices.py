"""A stack of 2-D slices through the network, in bounded memory.

Several threads take slices (or tiles) in turn: one gathers its pixels or writes its result while
another computes. On a CPU each has its share of the cores, as two slices on one core each are done
sooner than one after the other on both (docs/export.md); a GPU always has the next batch waiting.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.intensity import dark_level, robust_scale
from iconet.runtime.backends import prepare
from iconet.runtime.device import Compute
from iconet.runtime.runtimes import Run
from iconet.upscaling.background import Frame, frame_of_object, interpolate_background

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet

Progress = Callable[[int, int], None]
"""Called with (done, in all), in slices or, where slices are cut, in tiles."""

BATCH_PIXELS = {"cpu": 256 * 256, "mps": 8 * 256 * 256, "cuda": 16 * 256 * 256}
"""Input pixels that go through the network together: more is no faster, only bigger."""

WORKERS = {"mps": 1, "cuda": 3}
"""Batches at work: one on the GPU, one that waits, one that is written. On a CPU by its cores."""

WORKING_SET = 4e9
"""Bytes the network may use at a time: larger slices are cut into tiles."""

SMALLEST_TILE = 64
"""Side below which tiles would be hardly more than their context."""

SMALLEST = 16
"""The network's smallest side; smaller slices are padded with their edge values."""

NEIGHBOURS = 8
"""Slices whose objects go through the network in one frame: runtimes keep 2 MB for each size."""


def predict_stack(
    model: "ICONet",
    stack: NDArray,
    *,
    compute: Compute,
    out: NDArray | None = None,
    intensity: float | None = None,
    dark: float | None = None,
    batch: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Run the network over a stack of slices.

    Args:
        model: in eval mode; it is moved to `compute.device`.
        stack: (N, H, W), real; H and W at least 2.
        compute: device, precision and runtime.
        out: (N, scale * H, scale * W) float32 to write into, any strides; made when not given.
        intensity: the scale the network divides by, one for the stack so that slices stay
            consistent with each other; by default `robust_scale` of what the network is given,
            the stack above `dark`.
        dark: the value that stands for nothing; by default `dark_level(stack)`.
        batch: slices (or tiles) that go through the network together; by default as many as
            make `BATCH_PIXELS`.
        tile: side of a tile's own area in input pixels, to which its context is added; by default
            slices are cut only when one needs more than `WORKING_SET`.
        progress: called after each batch.

    Returns:
        `out`, on the intensity scale of `stack`. The network sees the objects in the slices; the
        background beyond (`iconet.upscaling.background`) is interpolated. Constant slices are
        repeated.

    Raises:
        InputError: `batch` or `tile` is not positive.
    """
    import torch

    count, height, width = stack.shape
    where = compute.device.type
    plan = plan_windows(model, height, width, device=where, batch=batch, tile=tile)
    whole = slice(0, height), slice(0, width)
    windows = len(list(_tiles(whole, plan.side, model)))
    if out is None:
        out = np.empty((count, height * model.scale, width * model.scale), np.float32)
    # Convolutions on channels-last tensors are up to 3 times as fast (bf16 on a CPU with AMX).
    model = model.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    waiting = []
    for index in range(count):
        first = stack[index, 0, 0]
        if np.all(stack[index] == first):
            out[index] = first
        else:
            waiting.append(index)
    done, total = (count - len(waiting)) * windows, count * windows
    report = progress or (lambda done, total: None)
    report(done, total)
    parts = [waiting[start : start + plan.batch] for start in range(0, len(waiting), plan.batch)]
    if not parts:
        return out

    # A single one gets all cores.
    workers = plan.workers if len(parts) * windows > 1 else 1
    with _workers(workers, compute) as pool:
        preparing = pool.submit(prepare, model, compute, workers)
        if dark is None:
            dark = dark_level(stack)
        if intensity is None:
            intensity = robust_scale(stack, dark)
        run = preparing.result()
        at_work: deque[Future[int]] = deque()
        together = max(1, NEIGHBOURS // plan.batch)
        for number, part in enumerate(parts):
            if number % together == 0:
                near = list(chain(*parts[number : number + together]))
                frame = frame_of_object(stack[near], intensity, dark, grid=model.multiple)
                inside = list(_tiles(frame, plan.side, model)) if frame else []
            jobs = [
                partial(_predict, model, run, stack, part, window, intensity, dark, out)
                for window in inside
            ]
            if frame != whole:
                spared = (windows - len(inside)) * len(part)
                jobs.append(partial(_interpolate, stack, part, frame, out, spared))
            for job in jobs:
                if len(at_work) > workers:
                    done += at_work.popleft().result()
                    report(done, total)
                at_work.append(pool.submit(job))
        while at_work:
            done += at_work.popleft().result()
            report(done, total)
    return out


@contextmanager
def _workers(count: int, compute: Compute) -> Iterator[ThreadPoolExecutor]:
    """Threads that share the cores; gone at the end, without what they have not begun."""
    import torch

    threads = torch.get_num_threads()

    def begin() -> None:
        if compute.backend == "torch" and compute.device.type == "cpu":
            torch.set_num_threads(max(1, threads // count))

    pool = ThreadPoolExecutor(count, initializer=begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # the setting of a thread is that of later ones too


def _predict(
    model: "ICONet",
    run: Run,
    stack: NDArray,
    part: Sequence[int],
    window: "Window",
    intensity: float,
    dark: float,
    out: NDArray,
) -> int:
    """One window of several slices, from the stack into `out`; returns how many."""
    import torch

    read, keep, write = window
    slices = np.ascontiguousarray(stack[(part, *read)], np.float32)
    with torch.inference_mode():
        given = torch.from_numpy(slices)[:, None]
        kept = _run(model, run, given - dark, intensity)[(..., *keep)].numpy()
    for position, index in enumerate(part):
        np.add(kept[position], dark, out=out[(index, *write)])
    return len(part)


def _interpolate(
    stack: NDArray, part: Sequence[int], frame: Frame | None, out: NDArray, spared: int
) -> int:
    """The background of several slices; returns how many windows that has spared."""
    for index in part:
        interpolate_background(stack[index], frame, out[index])
    return spared


class Plan(NamedTuple):
    """How a slice is cut and how much goes through the network together.

    Attributes:
        side: of a tile without its context, in input pixels.
        batch: windows that go through the network together.
        workers: batches that are at work at the same time.
        memory: bytes the network needs for all of them.
    """

    side: int
    batch: int
    workers: int
    memory: int


def plan_windows(
    model: "ICONet",
    height: int,
    width: int,
    *,
    device: str,
    batch: int | None = None,
    tile: int | None = None,
) -> Plan:
    """Decide how slices of (height, width) go through the network; see `predict_stack`.

    Raises:
        InputError: `batch` or `tile` is not positive.
    """
    for name, value in (("batch", batch), ("tile", tile)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    # Measured on a CPU in float32, for all sizes and scales: 38 to 69 bytes for each channel and
    # pixel of the last stage's input. bf16 needs about half.
    per_pixel = 72 * model.width * (model.scale / 2) ** 2
    side = tile
    if side is None:
        side = max(height, width)
        if height * width * per_pixel > WORKING_SET:
            side = max(SMALLEST_TILE, int((WORKING_SET / per_pixel) ** 0.5) - 2 * model.halo)
    area = min(height, side + 2 * model.halo) * min(width, side + 2 * model.halo)
    if batch is None:
        batch = max(1, int(min(BATCH_PIXELS[device], WORKING_SET / per_pixel)) // area)
    memory = int(batch * area * per_pixel)
    if device != "cpu":
        # They take turns on the GPU, and what one has freed there serves the next.
        return Plan(side, batch, WORKERS[device], memory)
    import torch

    threads = torch.get_num_threads()
    each = -(-threads // max(1, int(WORKING_SET // memory)))
    workers = max(1, threads // each)
    return Plan(side, batch, workers, workers * memory)


def count_windows(
    model: "ICONet",
    shape: tuple[int, ...],
    *,
    compute: Compute,
    batch: int | None = None,
    tile: int | None = None,
) -> int:
    """How many slices or tiles a stack (N, H, W) is, in the units of `Progress`."""
    count, height, width = shape
    where = compute.device.type
    plan = plan_windows(model, height, width, device=where, batch=batch, tile=tile)
    return count * len(list(_tiles((slice(0, height), slice(0, width)), plan.side, model)))


def _run(model: "ICONet", run: Run, slices: "Tensor", intensity: float) -> "Tensor":
    """(B, 1, H, W) on the CPU -> (B, scale * H, scale * W) float32 on the CPU."""
    import torch
    import torch.nn.functional as F

    height, width = slices.shape[-2:]
    padding = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
    if any(padding):
        slices = F.pad(slices, padding, mode="replicate")
    image = run(slices, torch.full((len(slices), 1, 1, 1), intensity))[:, 0]
    return image[:, : height * model.scale, : width * model.scale]


Window = tuple[tuple[slice, slice], tuple[slice, slice], tuple[slice, slice]]
"""What a tile reads of the slice, keeps of its prediction, and writes of the output."""


# Own tiles and not MONAI's sliding_window_inference: that one moves the last tile back until it
# fits, so its origin leaves the network's grid of `multiple` pixels, and it blends in predictions
# made near a tile's edge, where the context is missing. A halo as wide as the network sees, cut
# off after the prediction, leaves no seam to blend.
def _tiles(frame: Frame, side: int, model: "ICONet") -> Iterator[Window]:
    rows, columns = frame
    for row in _spans(rows.start, rows.stop, side, model):
        for column in _spans(columns.start, columns.stop, side, model):
            yield tuple(zip(row, column, strict=True))  # type: ignore[misc]


def _spans(
    first: int, end: int, side: int, model: "ICONet"
) -> Iterator[tuple[slice, slice, slice]]:
    """Cut one axis: (read, keep, write) of each tile, with origins on the network's grid."""
    grid, scale = model.multiple, model.scale
    side = -(-side // grid) * grid
    halo = -(-model.halo // grid) * grid
    for start in range(first, end, side):
        stop = min(start + side, end)
        right = min(stop + halo, end)
        left = max(first, min(start - halo, (right - SMALLEST) // grid * grid))
        yield (
            slice(left, right),
            slice((start - left) * scale, (stop - left) * scale),
            slice(start * scale, stop * scale),
        )
