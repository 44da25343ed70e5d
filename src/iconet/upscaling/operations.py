"""The operations on a volume that a plan consists of: what each makes, needs and does."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.images.kind.kinds import PROBABILITIES
from iconet.runtime.device import Compute
from iconet.upscaling import labels, probabilities
from iconet.upscaling.fidelity import keep_to_line
from iconet.upscaling.interpolation import interpolate
from iconet.upscaling.interval import Bounds
from iconet.upscaling.labels import relabel
from iconet.upscaling.models import Models, Step
from iconet.upscaling.one_axis import CHUNK, enlarge_axis, planes_containing
from iconet.upscaling.options import Options
from iconet.upscaling.plan import GridPlan
from iconet.upscaling.probabilities import blend
from iconet.upscaling.recovery import Recovery
from iconet.upscaling.regrid import as_stack
from iconet.upscaling.resampling import resample_axis
from iconet.upscaling.slices import Progress, predict_stack
from iconet.upscaling.windows import count_windows, plan_windows

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.peers import Peer

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Resampling:
    """One axis evaluated at `size` positions, `step` old voxels from one to the next."""

    axis: int
    size: int
    step: float

    def shape(self, shape: Shape) -> Shape:
        """Of the volume after it."""
        return _replaced(shape, {self.axis: self.size})

    def windows(self, shape: Shape) -> int:
        """How much of the progress it is: none, beside the networks."""
        return 0

    def memory(self, shape: Shape) -> int:
        """Bytes it needs beside the volumes before and after it."""
        return 0

    def __call__(self, volume: NDArray, out: NDArray | None, progress: Progress) -> NDArray:
        """The volume after it, written into `out` if given."""
        resampled = resample_axis(volume, self.axis, self.size, self.step, out)
        keep_to_line(volume, resampled, self.axis, self.step)
        return resampled


@dataclass(frozen=True)
class Recovering:
    """The slices as they were acquired; methods as of `Resampling`."""

    recovery: Recovery

    def shape(self, shape: Shape) -> Shape:
        """Of the volume after it."""
        axes = [axis for axis in range(len(shape)) if axis != self.recovery.across]
        return _replaced(shape, dict(zip(axes, self.recovery.found.matrix, strict=True)))

    def windows(self, shape: Shape) -> int:
        """How much of the progress it is: none, beside the networks."""
        return 0

    def memory(self, shape: Shape) -> int:
        """Bytes it needs beside the volumes before and after it."""
        return 0

    def __call__(self, volume: NDArray, out: NDArray | None, progress: Progress) -> NDArray:
        """The volume after it, written into `out` if given."""
        if out is None:
            out = np.empty(self.shape(volume.shape), np.float32, order="F")
        self.recovery.recover(volume, out)
        return out


@dataclass(frozen=True)
class Interpolating:
    """All axes that change, without a network; methods as of `Resampling`.

    Attributes:
        size: voxels of the result along each axis.
        steps: from one new voxel to the next, in old ones, along each axis that changes.
    """

    size: Shape
    steps: Mapping[int, float]

    def shape(self, shape: Shape) -> Shape:
        """Of the volume after it."""
        return self.size

    def windows(self, shape: Shape) -> int:
        """How much of the progress it is, in slices across the last axis."""
        return (*self.size, 1)[2]

    def memory(self, shape: Shape) -> int:
        """Bytes it needs beside the volumes before and after it."""
        between = 4 * math.prod((*shape[:2], *self.size[2:])) if 2 in self.steps else 0
        return between + 6 * 4 * math.prod(self.size[:2])

    def __call__(self, volume: NDArray, out: NDArray | None, progress: Progress) -> NDArray:
        """The volume after it, written into `out` if given."""
        if out is None:
            out = np.empty(self.size, np.float32, order="F")
        interpolate(volume, out, self.steps, progress)
        return out


@dataclass(frozen=True)
class Filling:
    """All axes that change, each volume by a function; methods as of `Resampling`.

    Attributes:
        fill: writes a volume on another grid: (volume, out, steps).
        size: voxels of the result along each axis.
        steps: from one new voxel to the next, in old ones, along each axis that changes.
        voxel: bytes it needs for each voxel, old or new.
    """

    fill: Callable[[NDArray, NDArray, Mapping[int, float]], None]
    size: Shape
    steps: Mapping[int, float]
    voxel: int

    def shape(self, shape: Shape) -> Shape:
        """Of the volume after it."""
        return self.size

    def windows(self, shape: Shape) -> int:
        """How much of the progress it is."""
        return 1

    def memory(self, shape: Shape) -> int:
        """Bytes it needs beside the volumes before and after it."""
        return self.voxel * (math.prod(shape) + math.prod(self.size))

    def __call__(self, volume: NDArray, out: NDArray | None, progress: Progress) -> NDArray:
        """The volume after it, written into `out` if given."""
        if out is None:
            out = np.empty(self.size, np.float32, order="F")
        self.fill(volume, out, self.steps)
        progress(1, 1)
        return out


@dataclass(frozen=True)
class Enlarging:
    """A network over the slices of a plane, or over those of both planes that contain one axis.

    Methods as of `Resampling`; `across` is the axis across the plane's slices.
    """

    network: "ICONet | Peer"
    step: Step
    across: int
    compute: Compute
    batch: int | None
    tile: int | None
    periodic: bool = False
    best: bool = False

    def shape(self, shape: Shape) -> Shape:
        """Of the volume after it."""
        return _replaced(shape, {axis: shape[axis] * self.step.factor for axis in self.step.axes})

    def windows(self, shape: Shape) -> int:
        """How much of the progress it is, in slices or tiles."""
        return sum(
            count_windows(self.network, stack, device=self.compute.device.type, **self._cut)
            for stack in self._stacks(shape)
        )

    def memory(self, shape: Shape) -> int:
        """Bytes it needs beside the volumes before and after it; of a GPU's memory none."""
        columns = 2 * 4 * CHUNK if len(self.step.axes) == 1 else 0  # before they are brought back
        where = self.compute.device.type
        if where != "cpu":
            return columns
        return columns + max(
            plan_windows(self.network, height, width, device=where, **self._cut).memory
            for _, height, width in self._stacks(shape)
        )

    def __call__(
        self,
        volume: NDArray,
        out: NDArray | None,
        progress: Progress,
        bounds: Bounds | None = None,
    ) -> NDArray:
        """The volume after it, written into `out` if given, and its bounds likewise."""
        if out is None:
            out = np.empty(self.shape(volume.shape), np.float32, order="F")
        if len(self.step.axes) == 1:
            return enlarge_axis(
                volume,
                self.step.axes[0],
                self.network,
                compute=self.compute,
                out=out,
                progress=progress,
                bounds=bounds,
                best=self.best,
                **self._cut,
            )
        predict_stack(
            self.network,
            as_stack(volume, self.across),
            compute=self.compute,
            out=as_stack(out, self.across),
            progress=progress,
            periodic=self.periodic,
            way=self.step.way,
            batch=self.batch,
            tile=self.tile,
            best=self.best,
            bounds=None
            if bounds is None
            else Bounds(*(as_stack(bound, self.across) for bound in bounds.both)),
        )
        return out

    @property
    def _cut(self) -> dict[str, int | None]:
        return {"batch": self.batch, "tile": self.tile}

    def _stacks(self, shape: Shape) -> list[tuple[int, int, int]]:
        """Sizes (N, H, W) of the stacks of slices that go through the network."""
        sizes = (*shape, 1)[:3]
        if len(self.step.axes) == 2:
            return [(sizes[self.across], *(sizes[axis] for axis in self.step.axes))]  # type: ignore[list-item]
        planes = planes_containing(self.step.axes[0], shape)
        return [(sizes[across], sizes[rows], sizes[cols]) for across, rows, cols in planes]


Operation = Resampling | Enlarging | Interpolating | Recovering | Filling


def operations(
    plan: GridPlan,
    models: Models,
    compute: Compute,
    options: Options,
) -> list[Operation]:
    """The operations of a plan, in order.

    Args:
        plan: for a scan.
        models: the networks.
        compute: device, precision and runtime.
        options: how large slices are cut.
    """
    if plan.interpolated:
        steps = {axis: plan.ratios[axis] for axis in plan.resampled}
        if plan.kind.labels:
            return [Filling(relabel, plan.shape, steps, labels.MEMORY)]
        if plan.kind.name == PROBABILITIES:
            return [Filling(blend, plan.shape, steps, probabilities.MEMORY)]
        return [Interpolating(plan.shape, steps)]
    recovery = plan.recovery
    periodic = recovery is not None and recovery.periodic and recovery.zero_filled
    rest = options.batch, options.tile, periodic, options.best
    first = [] if plan.recovery is None else [Recovering(plan.recovery)]
    return [
        *first,
        *(
            Enlarging(models(step).running(options.uncertainty), step, plan.across, compute, *rest)
            for step in plan.steps
        ),
        *(
            Resampling(axis, plan.shape[axis], plan.ratios[axis] * plan.gain(axis))
            for axis in plan.resampled
        ),
    ]


def memory_between(operations: Sequence[Operation], shape: Shape) -> int:
    """Bytes held at a time beside the first volume and the last one's place, at most."""
    most = before = 0
    for number, operation in enumerate(operations, start=1):
        needed = operation.memory(shape)
        shape = operation.shape(shape)
        after = 4 * math.prod(shape) if number < len(operations) else 0
        most, before = max(most, before + needed + after), after
    return most


def _replaced(shape: Shape, sizes: dict[int, int]) -> Shape:
    return tuple(sizes.get(axis, size) for axis, size in enumerate(shape))


def carry_bounds(
    operation: Operation, before: NDArray, image: NDArray, earlier: Bounds | None, bounds: Bounds
) -> Bounds | None:
    """The bounds of an image after an operation.

    Args:
        operation: that made it.
        before: from this.
        image: itself.
        earlier: bounds of what it was made from; None where no network took part yet.
        bounds: what a network wrote of this step alone, or room for them.

    Returns:
        `bounds`, complete; None where there are none yet.
    """
    if isinstance(operation, Enlarging):
        if earlier is None:
            return bounds  # which hold it already
        bounds.widen(image, before, earlier)
    elif earlier is None:
        return None
    else:
        for old, new in zip(earlier.both, bounds.both, strict=True):
            operation(old, new, lambda done, total: None)
    bounds.hold(image)
    return bounds
