"""A stack of 2-D slices through the network, in bounded memory.

Several threads take slices (or tiles) in turn: one gathers its pixels or writes its result while
another computes. On a CPU each has its share of the cores, as two slices on one core each are done
sooner than one after the other on both (docs/export.md); a GPU always has the next batch waiting.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.intensity import SPIKE, levels_of_slice
from iconet.runtime.backends import prepare
from iconet.runtime.device import Compute
from iconet.runtime.runtimes import Answer, Predict
from iconet.runtime.threads import cores
from iconet.runtime.threads import workers as worker_threads
from iconet.upscaling.background import (
    DIM,
    Frame,
    frame_of_object,
    interpolate_background,
    is_noise,
)
from iconet.upscaling.fidelity import (
    flat_background,
    is_constant,
    keep_to_slice,
    linear,
    repeated,
    spikes,
)
from iconet.upscaling.interval import (
    Bounds,
    around_slice,
    mean_strengths,
    put,
    widening,
)
from iconet.upscaling.turns import AS_THEY_ARE, Turn, turns_of
from iconet.upscaling.windows import Window, WindowPlan, plan_windows, tiles
from iconet.zoo.model import SMALLEST

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet
    from iconet.peers import Peer

Progress = Callable[[int, int], None]
"""Called with (done, in all), in slices or, where slices are cut, in tiles."""

NEIGHBOURS = 4
"""Slices whose objects go through the network in one frame: runtimes keep 2 MB for each size."""

Job = Callable[[], int]
"""Does a part of a stack and returns how many windows that was."""


def predict_stack(
    network: "ICONet | Peer",
    stack: NDArray,
    *,
    compute: Compute,
    out: NDArray | None = None,
    faithful: bool = True,
    periodic: bool = False,
    way: str | None = None,
    batch: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
    best: bool = False,
) -> NDArray[np.float32]:
    """Run the network over a stack of slices, each on an intensity scale of its own.

    Args:
        network: in evaluation mode; it is moved to `compute.device`.
        stack: (N, H, W), real; H and W at least 2.
        compute: device, precision and runtime.
        out: (N, scale * H, scale * W) float32 to write into, any strides; made when not given.
        faithful: make each result agree with its slice (`iconet.upscaling.fidelity`), which holds
            for networks that make both axes finer.
        periodic: see `iconet.upscaling.fidelity.with_band_of`.
        way: how the slices lost their resolution, as of `iconet.upscaling.way`.
        batch: see `plan_windows`.
        tile: likewise.
        progress: called after each batch.
        bounds: written into as `out` is, by a network with a head for them.
        best: take the mean of its answers to flips and, if `faithful`, turns of slices.

    Returns:
        `out`, on the intensity scale of `stack`. The network sees objects; the background beyond
        (`iconet.upscaling.background`) is interpolated, constants are repeated.
    """
    import torch

    count, *size = stack.shape
    plan = plan_windows(network, *size, device=compute.device.type, batch=batch, tile=tile)
    out = _room(stack, network.scale) if out is None else out
    # Convolutions on channels-last tensors are up to 3 times as fast (bf16 on a CPU with AMX).
    network = network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    waiting = _repeat_constants(stack, [out, *(bounds.both if bounds else ())])
    windows = len(list(tiles(_whole(stack), plan.side, network)))
    if told := windows > 1 and _is_told(network):  # tiles, of their whole slice
        compute = replace(compute, backend="torch")  # other runtimes know no such input
    advance = progress or (lambda done, total: None)
    advance(done := (count - len(waiting)) * windows, total := count * windows)
    if not waiting:
        return out
    workers = plan.workers_for(len(waiting), windows)
    run, levels = _prepared(network, compute, workers, stack, waiting)
    with worker_threads(workers, each=max(1, cores() // workers)) as pool:
        wider = pool.submit(_wider, network, stack, levels, bounds).result()
        rest = faithful, periodic, told, way, bounds, wider, turns_of(best, both_axes=faithful)
        work = _Work(network, run, stack, out, levels, plan, *rest)
        for finished in _few_ahead(pool, work.jobs(waiting, windows), workers):
            advance(done := done + finished, total)
    return out


def _room(stack: NDArray, scale: int) -> NDArray[np.float32]:
    """For the result."""
    count, height, width = stack.shape
    return np.empty((count, scale * height, scale * width), np.float32)


def _wider(
    network: "ICONet | Peer",
    stack: NDArray,
    levels: Mapping[int, tuple[float, float]],
    bounds: Bounds | None,
) -> NDArray[np.float32] | None:
    """See `iconet.upscaling.interval.widening`; None without bounds."""
    return None if bounds is None else widening(network, mean_strengths(stack, levels))


def _prepared(
    network: "ICONet | Peer",
    compute: Compute,
    workers: int,
    stack: NDArray,
    waiting: Sequence[int],
) -> tuple[Predict, dict[int, tuple[float, float]]]:
    """The network in its runtime and, found meanwhile, the levels of the slices."""
    with ThreadPoolExecutor(1) as ahead:
        preparing = ahead.submit(prepare, network, compute, workers)
        levels = {number: levels_of_slice(stack[number]) for number in waiting}
        return preparing.result(), levels


def _is_told(network: object) -> bool:
    """Whether it is told of the image, see `iconet.network.description`."""
    from iconet.network import ICONet

    return isinstance(network, ICONet) and network.describe is not None


def _repeat_constants(stack: NDArray, outs: Sequence[NDArray]) -> list[int]:
    """Fill what constant slices become; returns the numbers of the others."""
    others = []
    for index, image in enumerate(stack):
        if is_constant(image):
            for out in outs:
                out[index] = image[0, 0]
        else:
            others.append(index)
    return others


def _whole(stack: NDArray) -> Frame:
    """All rows and columns of its slices."""
    return slice(0, stack.shape[1]), slice(0, stack.shape[2])


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
    """A stack on its way through the network; arguments as of `predict_stack`.

    Attributes:
        levels: see `levels_of_slice`, by the number of the slice.
        told: whether the network is told of whole slices when it gets tiles.
        way: see `iconet.upscaling.way`; None for crops of k-space.
        wider: see `iconet.upscaling.interval.widening`; None without bounds.
        turns: in which the network sees slices; the mean of its answers counts.
    """

    network: "ICONet | Peer"
    run: Predict
    stack: NDArray
    out: NDArray
    levels: Mapping[int, tuple[float, float]]
    plan: WindowPlan
    faithful: bool
    periodic: bool
    told: bool
    way: str | None = None
    bounds: Bounds | None = None
    wider: NDArray[np.float32] | None = None
    turns: Sequence[Turn] = AS_THEY_ARE

    def jobs(self, waiting: Sequence[int], windows: int) -> Iterator[Job]:
        """What makes these slices, batch by batch, window by window.

        Args:
            waiting: numbers of the slices.
            windows: how many a whole slice is.
        """
        batch = self.plan.batch
        faint = DIM * max(bright - dark for dark, bright in self.levels.values())
        parts = [waiting[start : start + batch] for start in range(0, len(waiting), batch)]
        together = max(1, NEIGHBOURS // batch)
        for start in range(0, len(parts), together):
            near = [
                _Part.of(self.stack, numbers, [self.levels[number] for number in numbers])
                for numbers in parts[start : start + together]
            ]
            frame = frame_of_object(
                [
                    image
                    for part in near
                    for image, (dark, bright) in zip(part.low, part.levels, strict=True)
                    # Slices beyond the object are noise, on whatever scale.
                    if bright - dark > faint or not is_noise(image)
                ],
                self.stack.shape[1:],
                multiple=self.network.multiple,
            )
            inside = list(tiles(frame, self.plan.side, self.network)) if frame else []
            for part in near:
                part.begin(
                    *(self.network.scale, frame, len(inside), windows),
                    bounded=self.bounds is not None,
                )
                if not inside:
                    yield partial(self.finish, part)
                yield from (partial(self.predict, part, window) for window in inside)

    def predict(self, part: "_Part", window: Window) -> int:
        """One window of several slices; the last of them finishes the slices."""
        self._fill(part, window)
        return len(part.numbers) + (self.finish(part) if part.was_last_window() else 0)

    def _fill(self, part: "_Part", window: Window) -> None:
        """The network's answer to one window."""
        import torch

        read, keep, write = window
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(part.low[(slice(None), *read)]))
            made = self._mean(part, given[:, None])
            part.high[(slice(None), *write)] = made.image.numpy()[(slice(None), 0, *keep)]
            if part.distances is not None and made.distances is not None:
                rows, columns, *there = map(_of_points, (*keep, *write))
                part.distances[..., there[0], there[1]] = made.distances[..., rows, columns]

    def finish(self, part: "_Part") -> int:
        """Add the background, make the slices agree with the scan and write them."""
        for position, number in enumerate(part.numbers):
            image = self.stack[number]
            high = part.finished(
                *(position, image),
                faithful=self.faithful,
                periodic=self.periodic,
                way=self.way,
            )
            put(high, made := self.out[number])
            if self.bounds is not None and self.wider is not None:
                # In the order in which they are stored: nothing has to be turned.
                stored = made if made.flags.forc else high
                pair = part.bounds(position, image, stored, self.wider, faithful=self.faithful)
                self.bounds.write(number, pair)
        return part.spared * len(part.numbers)

    def _mean(self, part: "_Part", slices: "Tensor") -> Answer:
        """Of the answers to windows (B, 1, H, W) of a part, see `_enlarged`."""
        total: Answer | None = None
        for turn in self.turns:
            told = [part.strengths(turn)] if self.told else []
            made = self._enlarged(turn.there(slices), *told).each(turn.back)
            total = made if total is None else total.plus(made)
        assert total is not None
        count = len(self.turns)
        return total.each(lambda each: each / count) if count > 1 else total

    def _enlarged(self, slices: "Tensor", *told: "Tensor") -> Answer:
        """What the network makes of (B, 1, H, W).

        Smaller slices than the network takes are padded with their edge values.
        """
        import torch
        import torch.nn.functional as F

        height, width = slices.shape[-2:]
        padding = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        if any(padding):
            slices = F.pad(slices, padding, mode="replicate")
        made = self.run(slices, torch.ones(len(slices), 1, 1, 1), *told)
        rows, columns = (slice(0, self.network.scale * size) for size in (height, width))
        distances = made.distances
        if distances is not None:
            distances = distances[..., _of_points(rows), _of_points(columns)]
        return Answer(made.image[..., rows, columns], distances)


def _of_points(voxels: slice) -> slice:
    """The points of the last stage's input that voxels along an axis belong to."""
    return slice(voxels.start // 2, voxels.stop // 2)


class _Part:
    """Slices that go through the network together.

    Attributes:
        numbers: theirs in the stack.
        levels: the values of each that stand for nothing and for something bright.
        low: (B, H, W), between these levels 0 and 1, without spikes.
        beyond: spikes of each, (H, W), if it has any.
        high: (B, scale H, scale W) likewise, once `begin` made it.
        distances: (B, 2, scale H / 2, scale W / 2), at points, from there to both bounds; None
            where none are wanted.
        spared: windows of a slice that the network does not see.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        levels: list[tuple[float, float]],
        low: NDArray[np.float32],
        beyond: list[NDArray[np.float32] | None],
    ) -> None:
        self.numbers, self.levels, self.low, self.beyond = numbers, levels, low, beyond
        self._lock = Lock()
        self._strengths: dict[Turn, Tensor] = {}

    @classmethod
    def of(
        cls, stack: NDArray, numbers: Sequence[int], levels: list[tuple[float, float]]
    ) -> "_Part":
        """These slices of a stack."""
        low = np.empty((len(numbers), *stack.shape[1:]), np.float32)
        for image, number, (dark, bright) in zip(low, numbers, levels, strict=True):
            np.subtract(stack[number], np.float32(dark), out=image, casting="unsafe")
            image /= np.float32(bright - dark)
        beyond = [spikes(image) for image in low]
        np.clip(low, *SPIKE, out=low)
        return cls(numbers, levels, low, beyond)

    def begin(
        self, scale: int, frame: Frame | None, inside: int, windows: int, *, bounded: bool
    ) -> None:
        """Make room for the result, of which the network makes so many windows."""
        import torch

        count, height, width = self.low.shape
        # Where the network sees nothing, 0: the band that is put in makes an interpolation of it.
        self.high = np.zeros((count, scale * height, scale * width), np.float32)
        points = (count, 2, scale * height // 2, scale * width // 2)
        # By numpy: torch would share this, in the main thread, between all cores.
        self.distances = torch.from_numpy(np.zeros(points, np.float32)) if bounded else None
        self.frame, self.spared, self._to_come = frame, windows - inside, inside

    def strengths(self, turn: Turn = AS_THEY_ARE[0]) -> "Tensor":
        """What networks are told of whole slices, see `iconet.network.description`."""
        if turn not in self._strengths:
            self._strengths[turn] = self._told(turn)
        return self._strengths[turn]

    def _told(self, turn: Turn) -> "Tensor":
        import torch

        from iconet.network.description import strengths

        assert self.frame is not None  # nothing goes through the network otherwise
        return strengths(turn.there(torch.from_numpy(self.low[(slice(None), None, *self.frame)])))

    def was_last_window(self) -> bool:
        """Count one more window as done."""
        with self._lock:
            self._to_come -= 1
            return self._to_come == 0

    def finished(
        self,
        position: int,
        image: NDArray,
        *,
        faithful: bool,
        periodic: bool,
        way: str | None,
    ) -> NDArray[np.float32]:
        """The enlarged slice at a position, on the intensity scale of the slice itself."""
        import torch

        low, high, beyond = self.low[position], self.high[position], self.beyond[position]
        if not faithful and self.frame != (slice(0, len(low)), slice(0, low.shape[1])):
            interpolate_background(low, self.frame, high)
        background = flat_background(image) if faithful else None
        with torch.inference_mode():
            result = torch.from_numpy(high)
            spiked = None if beyond is None else torch.from_numpy(beyond)
            if faithful:
                masked = None if background is None else torch.from_numpy(background)
                result = keep_to_slice(
                    torch.from_numpy(low), result, masked, spiked, periodic=periodic, way=way
                )
            elif spiked is not None:
                result += linear(spiked, len(high) // len(low))
            high = result.numpy()
        dark, bright = self.levels[position]
        np.multiply(high, np.float32(bright - dark), out=high)
        if dark:
            np.add(high, np.float32(dark), out=high)
        if faithful:  # to the last bit, which the scaling may have changed
            np.maximum(high, image.min(), out=high)
        if background is not None:
            high[repeated(background, len(high) // len(low))] = image[background][0]
        return high

    def bounds(
        self,
        position: int,
        image: NDArray,
        high: NDArray,
        wider: NDArray[np.float32],
        *,
        faithful: bool,
    ) -> NDArray:
        """Both bounds of what `finished` made of the slice at a position, (2, H, W)."""
        assert self.distances is not None
        dark, bright = self.levels[position]
        low = np.asarray(image, np.float32)
        factors = np.float32(bright - dark) * wider
        points = self.distances[position]
        found = around_slice(high, low, points, factors, self.frame, float(image.min()))
        background = flat_background(image) if faithful else None
        if background is not None:
            masked = repeated(background, len(high) // len(image))
            for bound in found:
                bound[masked] = high[masked]
        return found
