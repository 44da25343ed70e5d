"""A stack of 2-D slices through the network, in bounded memory.

Several threads take slices (or tiles) in turn: one gathers its pixels or writes its result while
another computes. On a CPU each has its share of the cores, as two slices on one core each are done
sooner than one after the other on both (docs/export.md); a GPU always has the next batch waiting.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.intensity import dark_level, robust_scale
from iconet.runtime.backends import prepare
from iconet.runtime.device import Compute
from iconet.runtime.runtimes import Predict
from iconet.upscaling.background import Frame, frame_of_object, interpolate_background
from iconet.upscaling.windows import Window, WindowPlan, plan_windows, tiles
from iconet.zoo.model import SMALLEST

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet

Progress = Callable[[int, int], None]
"""Called with (done, in all), in slices or, where slices are cut, in tiles."""

NEIGHBOURS = 8
"""Slices whose objects go through the network in one frame: runtimes keep 2 MB for each size."""

Job = Callable[[], int]
"""Does a part of a stack and returns how many windows that was."""


def predict_stack(
    network: "ICONet",
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
        network: in evaluation mode; it is moved to `compute.device`.
        stack: (N, H, W), real; H and W at least 2.
        compute: device, precision and runtime.
        out: (N, scale * H, scale * W) float32 to write into, any strides; made when not given.
        intensity: what the network divides by, one value for the stack so that slices stay
            consistent with each other; by default its `robust_scale` above `dark`.
        dark: the value that stands for nothing; by default `dark_level(stack)`.
        batch: see `plan_windows`.
        tile: likewise.
        progress: called after each batch.

    Returns:
        `out`, on the intensity scale of `stack`. The network sees the objects in the slices; the
        background beyond (`iconet.upscaling.background`) is interpolated, constants are repeated.
    """
    import torch

    count, *size = stack.shape
    plan = plan_windows(network, *size, device=compute.device.type, batch=batch, tile=tile)
    if out is None:
        out = np.empty((count, *(network.scale * side for side in size)), np.float32)
    # Convolutions on channels-last tensors are up to 3 times as fast (bf16 on a CPU with AMX).
    network = network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    waiting = _repeat_constants(stack, out)
    windows = len(list(tiles(_whole(stack), plan.side, network)))
    done, total = (count - len(waiting)) * windows, count * windows
    advance = progress or (lambda done, total: None)
    advance(done, total)
    if not waiting:
        return out
    # A single window gets all cores.
    workers = plan.workers if -(-len(waiting) // plan.batch) * windows > 1 else 1
    with _workers(workers, compute) as pool:
        preparing = pool.submit(prepare, network, compute, workers)
        if dark is None:
            dark = dark_level(stack)
        if intensity is None:
            intensity = robust_scale(stack, dark)
        work = _Work(network, preparing.result(), stack, out, intensity, dark, plan)
        for finished in _few_ahead(pool, work.jobs(waiting, windows), workers):
            done += finished
            advance(done, total)
    return out


def _repeat_constants(stack: NDArray, out: NDArray) -> list[int]:
    """Fill what constant slices become; returns the numbers of the others."""
    others = []
    for index, image in enumerate(stack):
        if np.all(image == image[0, 0]):
            out[index] = image[0, 0]
        else:
            others.append(index)
    return others


def _whole(stack: NDArray) -> Frame:
    """All rows and columns of its slices."""
    return slice(0, stack.shape[1]), slice(0, stack.shape[2])


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


def _few_ahead(pool: ThreadPoolExecutor, jobs: Iterable[Job], workers: int) -> Iterator[int]:
    """The results of jobs in order, of which only a few more than there are workers wait."""
    at_work: deque[Future[int]] = deque()
    for job in jobs:
        if len(at_work) > workers:
            yield at_work.popleft().result()
        at_work.append(pool.submit(job))
    while at_work:
        yield at_work.popleft().result()


@dataclass(frozen=True)
class _Work:
    """A stack on its way through the network; arguments as of `predict_stack`."""

    network: "ICONet"
    run: Predict
    stack: NDArray
    out: NDArray
    intensity: float
    dark: float
    plan: WindowPlan

    def jobs(self, waiting: Sequence[int], windows: int) -> Iterator[Job]:
        """What makes these slices, batch by batch: windows on objects, and the background.

        Args:
            waiting: numbers of the slices.
            windows: how many a whole slice is.
        """
        whole, side, batch = _whole(self.stack), self.plan.side, self.plan.batch
        parts = [waiting[start : start + batch] for start in range(0, len(waiting), batch)]
        together = max(1, NEIGHBOURS // batch)
        for number, part in enumerate(parts):
            if number % together == 0:
                near = list(chain(*parts[number : number + together]))
                frame = frame_of_object(
                    self.stack[near], self.intensity, self.dark, grid=self.network.multiple
                )
                inside = list(tiles(frame, side, self.network)) if frame else []
            yield from (partial(self.predict, part, window) for window in inside)
            if frame != whole:
                spared = (windows - len(inside)) * len(part)
                yield partial(self.interpolate, part, frame, spared)

    def predict(self, part: Sequence[int], window: Window) -> int:
        """One window of several slices."""
        import torch

        read, keep, write = window
        slices = np.ascontiguousarray(self.stack[(part, *read)], np.float32)
        with torch.inference_mode():
            given = torch.from_numpy(slices)[:, None]
            kept = self._enlarged(given - self.dark)[(..., *keep)].numpy()
        for position, index in enumerate(part):
            np.add(kept[position], self.dark, out=self.out[(index, *write)])
        return len(part)

    def interpolate(self, part: Sequence[int], frame: Frame | None, spared: int) -> int:
        """The background of several slices, which spares so many windows."""
        for index in part:
            interpolate_background(self.stack[index], frame, self.out[index])
        return spared

    def _enlarged(self, slices: "Tensor") -> "Tensor":
        """(B, 1, H, W) on the CPU -> (B, scale * H, scale * W) float32 on the CPU.

        Smaller slices than the network takes are padded with their edge values.
        """
        import torch
        import torch.nn.functional as F

        height, width = slices.shape[-2:]
        padding = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        if any(padding):
            slices = F.pad(slices, padding, mode="replicate")
        image = self.run(slices, torch.full((len(slices), 1, 1, 1), self.intensity))[:, 0]
        return image[:, : height * self.network.scale, : width * self.network.scale]
