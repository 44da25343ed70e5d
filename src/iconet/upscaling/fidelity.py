"""Data fidelity: what a result owes the scan it was made from, whatever a network answers.

- The band that was measured is the scan's own: what the result holds below the scan's Nyquist
  frequency is replaced by what the scan holds. A network's detail lies beyond it. Only where the
  magnitude may have folded ringing up, the network may be right (`folded`).
- A scan that is no crop of k-space, but was made smaller by a program, is what the result becomes
  when it is made smaller likewise. Where the way is not known (`iconet.upscaling.way`), the mean
  over each voxel of the scan may differ from it by `TOLERANCE` of the local range, not more.
- Detail stays near what surrounds it: every new voxel lies within the range of the 3 x 3 voxels
  around its place, widened by half of that range, and never below the smallest voxel of the slice.
  So a flat region stays flat, and a scan without negative values gets none.
- The constant background of a masked image (a stripped brain) stays that constant.

Along a single axis the network undoes a slice profile that nobody knows. There the mean over each
thick slice may differ from the scan by `TOLERANCE` of the local range, not more. A result that is
resampled to a spacing stays near to what was resampled.

Each law holds for any shift and any scale of the intensities.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.intensity import SPIKE
from iconet.upscaling.regrid import as_stack, nearest_voxels, positions
from iconet.zoo.model import SMALLEST

if TYPE_CHECKING:
    from torch import Tensor

OVERSHOOT = 0.5
"""Share of the local range by which new voxels may leave it; true ones do so by less."""

TOLERANCE = 0.05
"""Share of the local range by which a mean may differ from the scan where it is not known how that
lost its resolution, as with thick slices."""

DARK, EDGE, FOLDED = 0.1, 0.25, 0.1
"""Dark voxels, edges beside them, as shares of what is bright, and by how much of the local range
the band may differ there."""

ALTERNATIONS = 3
"""Times that a masked slice is given its band and its background again; then both nearly hold."""

AIR = 0.1
"""Share of what is bright that voxels of air do not reach."""

FLAT = 0.01
"""Share of a slice that a masked background covers, at least."""


def keep_to_slice(
    low: "Tensor",
    high: "Tensor",
    background: "Tensor | None" = None,
    beyond: "Tensor | None" = None,
    *,
    periodic: bool = False,
    way: str | None = None,
) -> "Tensor":
    """Make an enlarged slice agree with the slice.

    Args:
        low: (h, w), the slice; intensities of the order of 1.
        high: (s h, s w), the enlarged slice.
        background: (h, w) bool, see `flat_background`; its voxels all have one value.
        beyond: (h, w), what the slice has beyond `low`; see `spikes`.
        periodic: see `with_band_of`.
        way: how the slice lost its resolution, as of `iconet.upscaling.way`.

    Returns:
        (s h, s w).
    """
    import torch

    factor = high.shape[-1] // low.shape[-1]
    least, most = local_range(low)
    if way is None:
        allowed = folded(low, most - least)
        agreeing = partial(with_band_of, low, allowed=allowed, periodic=periodic)
    else:
        agreeing = partial(acquired_alike, low, most - least, way)
    high = agreeing(high)
    if background is not None and background.any():
        masked, value = enlarged(background, factor), low[background][0]
        for _ in range(ALTERNATIONS):
            kept = torch.where(masked, value, high)
            high = agreeing(kept)
    if beyond is not None:
        low = low + beyond
        high += linear(beyond, factor)
        least, most = local_range(low)
    span = OVERSHOOT * (most - least)
    least = (least - span).clamp_(min=low.min())
    rows = high.view(len(low), factor, -1)
    least, most = (_wider(bound, factor)[:, None] for bound in (least, most + span))
    torch.clamp(rows, least, most, out=rows)
    return high


def spikes(low: NDArray) -> NDArray[np.float32] | None:
    """What a slice (h, w) has beyond `SPIKE`; None for nothing.

    It is interpolated linearly, which reaches to the next voxel. A network's answer to a voxel of
    five times the brightness of all others reaches to where the network sees, and the rings of a
    band-limited interpolation farther.
    """
    least, most = SPIKE
    if low.min() >= least and low.max() <= most:
        return None
    return np.asarray(low - low.clip(least, most), np.float32)


def linear(image: "Tensor", factor: int) -> "Tensor":
    """Linear interpolation of (h, w), field of view kept."""
    import torch.nn.functional as F

    return F.interpolate(image[None, None], scale_factor=factor, mode="bilinear")[0, 0]


def keep_to_axis(volume: NDArray, bigger: NDArray, axis: int) -> None:
    """Make a volume enlarged along one axis agree with the volume, in place.

    Args:
        volume: (I, J, K).
        bigger: the same, but for more voxels along the axis.
        axis: which.
    """
    import torch

    across = 0 if axis else 1
    lows, highs = (np.moveaxis(array, (across, axis), (0, -1)) for array in (volume, bigger))
    factor = highs.shape[-1] // lows.shape[-1]
    floor = volume.min()
    for index, (low, high) in enumerate(zip(lows, highs, strict=True)):
        near = torch.from_numpy(np.ascontiguousarray(lows[max(0, index - 1) : index + 2]))
        least = local_range(near.amin(dim=0))[0].numpy()
        most = local_range(near.amax(dim=0))[1].numpy()
        span = most - least
        blocks = high.reshape(*low.shape, factor)
        lower, upper = np.maximum(least - OVERSHOOT * span, floor), most + OVERSHOOT * span
        mean = blocks.mean(axis=-1)
        detail = blocks - mean[..., None]
        mean = mean.clip(low - TOLERANCE * span, low + TOLERANCE * span).clip(lower, upper)
        # As much of the detail as there is room for: what is cut off alone would change the mean.
        share = np.minimum(
            _share(upper - mean, detail.max(axis=-1)), _share(mean - lower, -detail.min(axis=-1))
        )
        blocks = mean[..., None] + share[..., None] * detail
        blocks = blocks.clip(lower[..., None], upper[..., None])  # to the last bit
        background = flat_background(low)
        if background is not None:
            blocks[background] = low[background][0]
        high[...] = blocks.reshape(high.shape)


def keep_background(
    volume: NDArray, outs: Sequence[NDArray], across: int, ratios: Sequence[float]
) -> None:
    """Keep the constant backgrounds of a volume's slices on another grid, in place.

    Args:
        volume: (I, J) or (I, J, K).
        outs: what was made of it, on one grid with the same centre.
        across: the axis across the slices.
        ratios: new over old spacing along each axis.
    """
    slices, results = as_stack(volume, across), [as_stack(out, across) for out in outs]
    depth = 1.0 if across == len(ratios) else ratios[across]  # a 2-D image is one slice
    ratios = [depth, *ratios[:across], *ratios[across + 1 :]]
    nearest = [
        nearest_voxels(old, new, ratio)
        for old, new, ratio in zip(slices.shape, results[0].shape, ratios, strict=True)
    ]
    within = np.ix_(*nearest[1:])
    for number, index in enumerate(nearest[0]):
        background = flat_background(slices[index])
        if background is not None:
            there = background[within]
            for result in results:
                result[number][there] = slices[index][background][0]


def _share(room: NDArray, wanted: NDArray) -> NDArray:
    """How much of what is wanted there is room for, 1 at most."""
    return room / np.maximum(np.maximum(room, wanted), np.finfo(np.float32).tiny)


def keep_to_line(volume: NDArray, resampled: NDArray, axis: int, step: float) -> None:
    """Keep a volume that was resampled along one axis near the volume, in place.

    The cosines of the resampling ring where the volume has an edge. Every new voxel lies within the
    range of the old ones around its place, widened by half of it, and never below the smallest one.

    Args:
        volume: two axes or more.
        resampled: the same, but for other positions along the axis; see `resample_axis`.
        axis: which.
        step: from one new position to the next, in old voxels.
    """
    before, after = np.moveaxis(volume, axis, -1), np.moveaxis(resampled, axis, -1)
    old, new = before.shape[-1], after.shape[-1]
    position = positions(old, new, step)
    reach = max(1, ceil(step))
    first, *others = (
        np.rint(position + shift).astype(int).clip(0, old - 1) for shift in range(-reach, reach + 1)
    )
    floor = volume.min()
    for lines, made in zip(before, after, strict=True):  # no second copy of the volume
        least = lines[..., first]
        most = least.copy()
        for near in others:
            values = lines[..., near]
            np.minimum(least, values, out=least)
            np.maximum(most, values, out=most)
        span = OVERSHOOT * (most - least)
        np.clip(made, np.maximum(least - span, floor), most + span, out=made)


def acquired_alike(low: "Tensor", span: "Tensor", way: str, high: "Tensor") -> "Tensor":
    """Change as little of (H, W) as it takes to be (h, w) once it is made smaller again.

    Args:
        low: (h, w).
        span: the range of the 3 x 3 voxels around each of them.
        way: as of `iconet.upscaling.way`, not None.
        high: (H, W).
    """
    from iconet.network.description import OTHER
    from iconet.physics.point_spread import acquired_through, brought_back

    factor = high.shape[-1] // low.shape[-1]
    name = "block means" if way == OTHER else way
    missing = low - acquired_through(name, high, factor)
    if way == OTHER:
        missing -= missing.clamp(-TOLERANCE * span, TOLERANCE * span)
    return high + brought_back(name, missing, factor)


def with_band_of(
    low: "Tensor", high: "Tensor", allowed: "Tensor", *, periodic: bool = False
) -> "Tensor":
    """Replace what (H, W) holds below the Nyquist frequency of (h, w) by what that holds.

    A slice goes on beyond the field of view: periodically, as k-space has it, or evenly, where the
    image was cut afterwards (`iconet.physics.cosines`). With air all around both are the same.
    Elsewhere the right one is that which has less to replace: the network has seen neither.

    Args:
        low: (h, w).
        high: (H, W).
        allowed: (h, w), how far a voxel may stay from what `low` holds; see `folded`.
        periodic: whether the slice is known to go on periodically, as what a scanner zero-filled.
    """
    from iconet.physics.cosines import cosines2, from_cosines2
    from iconet.physics.kspace import with_low_frequencies

    large = min(low.shape) >= SMALLEST  # in smaller ones there is no telling
    if large or periodic:
        in_kspace = with_low_frequencies(high, low, allowed)
        borders = low[:: len(low) - 1], low[:, :: low.shape[1] - 1]
        if periodic or max(float(border.abs().max()) for border in borders) < AIR:
            return in_kspace
    size, new = ((image.shape[0], image.shape[1]) for image in (low, high))
    gain = (high.numel() / low.numel()) ** 0.5
    missing = low - from_cosines2(cosines2(high, size) / gain, size)
    missing -= missing.clamp(-allowed, allowed)
    if large and 2 * (in_kspace - high).square().sum() < gain**2 * missing.square().sum():
        return in_kspace
    return high + from_cosines2(gain * cosines2(missing, size), new)


def folded(low: "Tensor", span: "Tensor") -> "Tensor":
    """How far a voxel of (h, w) may be from what it was before the magnitude was taken.

    Beside an edge the image of a cropped k-space rings below 0, and the magnitude folds that up.
    The network has learnt to see it. So the band may stay as the network gave it where a voxel is
    dark and its surroundings are not: by no more than the voxel, and by `FOLDED` of the range.

    Args:
        low: (h, w).
        span: the range of the 3 x 3 voxels around each of them.
    """
    import torch

    possible = (low < DARK) & (span > EDGE)
    return torch.where(possible, torch.minimum(FOLDED * span, low.clamp(min=0)), 0.0)


def local_range(image: "Tensor") -> "tuple[Tensor, Tensor]":
    """The least and the largest of the 3 x 3 (3 x 3 x 3) voxels around each one."""
    import torch

    def extreme(of: "Callable[..., Tensor]") -> "Tensor":
        found = image
        for axis, size in enumerate(image.shape):
            wider = found.clone()
            before, after = (found.narrow(axis, start, size - 1) for start in (0, 1))
            of(before, after, out=wider.narrow(axis, 0, size - 1))
            last = wider.narrow(axis, 1, size - 1)
            of(last, before, out=last)
            found = wider
        return found

    return extreme(torch.minimum), extreme(torch.maximum)


def enlarged(image: "Tensor", factor: int) -> "Tensor":
    """Repeat every pixel of (h, w)."""
    return _wider(image, factor).repeat_interleave(factor, dim=0)


def _wider(image: "Tensor", factor: int) -> "Tensor":
    """Repeat every column of (h, w)."""
    return image[..., None].expand(*image.shape, factor).reshape(len(image), -1)


def is_constant(image: NDArray) -> bool:
    """Whether all voxels have one value."""
    return bool(np.all(image == image.flat[0]))


def repeated(mask: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Repeat every pixel of (h, w)."""
    return mask.repeat(factor, axis=0).repeat(factor, axis=1)


def flat_background(image: NDArray) -> NDArray[np.bool_] | None:
    """Where a slice (h, w) holds the constant that its background was set to; None without one.

    It is the value that most corners share, if blocks of 3 x 3 voxels of nothing else cover 1 % of
    the slice. Noise that was rounded to that value here and there is no background: where this is
    more than a tenth of all such voxels, only those of the blocks are.
    """
    corners = image[:: max(1, len(image) - 1), :: max(1, image.shape[1] - 1)]
    values, counts = np.unique(corners, return_counts=True)
    if counts.max() < 2:
        return None
    same = image == values[np.argmax(counts)]
    inner = same.copy()
    for axis in (0, 1):
        inner = spread(inner, axis, np.logical_and)
    blocks = inner
    for axis in (0, 1):
        blocks = spread(blocks, axis, np.logical_or)
    covered = np.count_nonzero(blocks)
    if covered < max(9, FLAT * image.size):
        return None
    return same if covered > 0.9 * np.count_nonzero(same) else blocks


def spread(values: NDArray, axis: int, of: np.ufunc) -> NDArray:
    """Combine every voxel with the one before and the one after it along an axis, by `of`."""
    found = values.copy()
    inner, source = np.moveaxis(found, axis, 0), np.moveaxis(values, axis, 0)
    inner[1:] = of(inner[1:], source[:-1])
    inner[:-1] = of(inner[:-1], source[1:])
    return found
