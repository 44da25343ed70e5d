"""Enlarging one axis, such as the one across thick slices, by a network of 2-D slices.

**One axis of a network that enlarges two.** A slice that contains the axis has few rows (along the
axis) and many columns (already fine). The network gets it as it is, predicts scale x scale times as
many pixels, and the columns are brought back by an antialiased resampling, which cuts k-space at
their old Nyquist frequency. That is lossless where the network adds nothing beyond this frequency,
and networks trained for the task (`task.kind: through-plane`) are taught so: their target is the
true slice with its columns zero-filled. The same architecture and the same trained stages serve,
at the cost of a slice of the input's size. The alternatives are worse: columns first made as coarse
as the rows lose the detail that tells where edges run, and rows first interpolated make the network
work on `scale` times as many pixels, blurred ones.

**Two planes, averaged.** A volume is cut into the slices of both planes that contain the axis, and
both predictions count alike. Each looks at the same measured values with another context; what they
get wrong is partly independent and shrinks by averaging. Each is smooth within its slices and may
flicker from one to the next, where the other one is smooth. Any other weighting would need to know
which of them to trust; taking the larger Fourier coefficient (Burst Accumulation) keeps the sharper
one, noise and inventions included. (A trial at 2x, 200
steps of training, one validation head: 38.4 and 38.5 dB for one plane, 38.6 dB and the least
flicker for both; the network for two axes, not trained for this, 37.4 dB; zero-filling 36.5 dB.)
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.runtime.device import Compute
from iconet.upscaling.fidelity import keep_to_axis
from iconet.upscaling.interval import Bounds
from iconet.upscaling.resampling import resample_axis
from iconet.upscaling.slices import Progress, predict_stack
from iconet.upscaling.windows import count_windows

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.peers import Peer

CHUNK = 1 << 26
"""Pixels predicted before their columns are brought back: 256 MB."""


def planes_containing(axis: int, shape: Sequence[int]) -> list[tuple[int, int, int]]:
    """The planes in which an axis is enlarged, as (axis across the slices, rows, columns).

    A plane counts if its other axis has two voxels or more. A 2-D image is a volume of one slice.
    """
    others = [index for index in range(3) if index != axis]
    return [
        (across, axis, columns)
        for across, columns in (others, others[::-1])
        if (*shape, 1)[columns] > 1
    ]


def enlarge_axis(
    volume: NDArray,
    axis: int,
    network: "ICONet | Peer",
    *,
    compute: Compute,
    out: NDArray | None = None,
    batch: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
    best: bool = False,
) -> NDArray[np.float32]:
    """Make one axis `network.scale` times finer; see the module's text for how and why.

    Args:
        volume: (I, J) or (I, J, K), real, with at least one plane of `planes_containing`.
        axis: which axis; 2 voxels or more.
        network: in evaluation mode.
        compute: device and precision.
        out: float32 of the new shape to write into; made when not given.
        batch: as in `predict_stack`, like the next one.
        tile: see there.
        progress: called with (done, in all), counting slices or tiles of both planes.
        bounds: written into as `out` is: the means of those of both planes.
        best: as in `predict_stack`.

    Returns:
        `out`, on the intensity scale of `volume`.
    """
    out = _room(volume, axis, network.scale) if out is None else out
    old, new = _as_volume(volume), _as_volume(out)
    within = [] if bounds is None else [_as_volume(bound) for bound in bounds.both]
    predict = partial(
        predict_stack, network, compute=compute, faithful=False, batch=batch, tile=tile, best=best
    )
    windows = partial(count_windows, network, device=compute.device.type, batch=batch, tile=tile)
    planes = planes_containing(axis, new.shape)
    total = sum(windows(old.transpose(plane).shape) for plane in planes)
    finished = 0

    def advance(done: int, _: int) -> None:
        if progress is not None:
            progress(finished + done, total)

    for each in (new, *within):
        each[...] = 0
    for plane in planes:
        before = old.transpose(plane)
        after = [each.transpose(plane) for each in (new, *within)]
        several = max(1, CHUNK // (before[0].size * network.scale**2))
        for start in range(0, len(before), several):
            chunk = before[start : start + several]
            made = _predicted(chunk, partial(predict, progress=advance), network.scale, after)
            finished += windows(chunk.shape)
            for found, sums in zip(made, after, strict=True):
                columns = resample_axis(found, 2, before.shape[2], network.scale)
                sums[start : start + several] += columns / len(planes)
    _keep(old, new, within, axis)
    return out


def _room(volume: NDArray, axis: int, factor: int) -> NDArray[np.float32]:
    """For the result."""
    shape = [size * factor if i == axis else size for i, size in enumerate(volume.shape)]
    return np.empty(shape, np.float32)


def _keep(old: NDArray, new: NDArray, bounds: Sequence[NDArray], axis: int) -> None:
    """Make a volume and its bounds, if any, agree with what it was made from."""
    for bound in bounds:  # they move with the image
        bound -= new
    keep_to_axis(old, new, axis)
    for bound in bounds:
        bound += new
        np.maximum(bound, old.min(), out=bound)
    if bounds:
        Bounds(*bounds).hold(new)


def _predicted(
    chunk: NDArray, predict: Callable[..., NDArray], scale: int, wanted: Sequence[NDArray]
) -> list[NDArray]:
    """Slices enlarged, and their bounds if these are wanted too."""
    if len(wanted) == 1:
        return [predict(chunk)]
    around = Bounds.empty((len(chunk), *(scale * side for side in chunk.shape[1:])))
    return [predict(chunk, bounds=around), *around.both]


def _as_volume(array: NDArray) -> NDArray:
    """A view with three axes."""
    return array[..., None] if array.ndim == 2 else array
