"""Whether an output still says what was measured: degraded again, it must be the input."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from iconet.images import Scan
from iconet.intensity import levels_of_slice
from iconet.runtime.threads import workers
from iconet.upscaling.apart import Apart
from iconet.upscaling.models import Step
from iconet.upscaling.noise import noise_of
from iconet.upscaling.recovery import Recovery

SAMPLED = 8
"""Slices that tell whether an output fits its input."""

QUIET = 0.002
"""Share of what is bright that counts as noise at least."""

INCONSISTENT = 3.0
"""Standard deviations of the input's noise: an output that is farther off does not fit it."""

ALIGNED = 1e-3
"""Input voxels by which the two fields of view may differ."""


@dataclass(frozen=True)
class InputConsistency:
    """The output degraded again, compared with the input.

    Attributes:
        psnr: in dB, the data range being the largest value of the input; None where they agree
            exactly or nothing of the input is positive.
        nmse: sum of squared differences over the sum of squares of the input; None for zeros.
        mean_ratio: mean of the degraded output over the mean of the input; None where that is 0.
        noise: root mean square of the differences, in standard deviations of the input's noise;
            None where that is not known.
    """

    psnr: float | None
    nmse: float | None
    mean_ratio: float | None
    noise: float | None = None


def input_consistency(
    scan: Scan, bigger: Scan, acquisition: Recovery | Step | None = None
) -> InputConsistency | None:
    """Crop the output's k-space to the input's grid and compare it with the input.

    Args:
        scan: the input; (i, j), (i, j, k) or (i, j, k, t).
        bigger: the output, over the same field of view with at least as many voxels along each
            axis.
        acquisition: of slices that the scanner interpolated or windowed, or the step that undid how
            they were made smaller; the output is degraded so.

    Returns:
        The comparison over all voxels, what was set apart (`iconet.upscaling.apart`) replaced by
        what goes on around it in both; or None where the two have another field of view.
    """
    if not _same_field_of_view(scan, bigger):
        return None
    scan, bigger = _without_apart(scan, bigger)
    error = power = total = degraded_total = 0.0
    for low, high in _slabs(scan.array, bigger.array):
        truth = low.astype(np.float64)
        degraded = _as_scanned(high, low.shape, acquisition)
        error += float(np.square(degraded - truth).sum())
        power += float(np.square(truth).sum())
        total += float(truth.sum())
        degraded_total += float(degraded.sum(dtype=np.float64))
    largest = float(scan.array.max())
    mean_error = error / scan.array.size
    noise = input_noise(scan)
    return InputConsistency(
        psnr=float(10 * np.log10(largest**2 / mean_error)) if mean_error and largest > 0 else None,
        nmse=error / power if power else None,
        mean_ratio=degraded_total / total if total else None,
        noise=None if noise is None else mean_error**0.5 / noise,
    )


def disagreement(
    scan: Scan, bigger: Scan, acquisition: Recovery | Step | None = None
) -> NDArray[np.float32] | None:
    """Where the output degraded again is not the input: a difference for each voxel of the input.

    Args:
        scan: As in `input_consistency`, like the next two.
        bigger: See there.
        acquisition: See there.
    """
    if not _same_field_of_view(scan, bigger):
        return None
    scan, bigger = _without_apart(scan, bigger)
    found = np.empty_like(scan.array, np.float32)

    def compare(place: tuple[tuple[NDArray, NDArray], tuple[NDArray, NDArray]]) -> None:
        (low, high), (out, _) = place
        np.subtract(_as_scanned(high, low.shape, acquisition), low, out=out)

    places = zip(_slabs(scan.array, bigger.array), _slabs(found, bigger.array), strict=True)
    with workers() as pool:
        for _ in pool.map(compare, places):
            pass
    return found


def sampled_consistency(
    scan: Scan, bigger: Scan, acquisition: Recovery | Step | None = None
) -> float | None:
    """`InputConsistency.noise` of some slices alone: quick enough to be found of every scan.

    Returns:
        None where all axes became finer, the noise is not known, or as `input_consistency`.
    """
    if not _same_field_of_view(scan, bigger) or (noise := input_noise(scan)) is None:
        return None
    if scan.array.ndim > 2 and all(np.not_equal(scan.array.shape, bigger.array.shape)):
        return None  # no axis to take some slices along
    pairs = list(_slabs(scan.array, bigger.array))
    error, count = 0.0, 0
    for low, high in pairs[:: max(1, len(pairs) // SAMPLED)]:
        if np.isnan(low).any():
            continue
        difference = _as_scanned(high, low.shape, acquisition) - low
        error += float(np.square(difference).sum(dtype=np.float64))
        count += low.size
    return (error / count) ** 0.5 / noise if count else None


def residual_map(
    scan: Scan, bigger: Scan, acquisition: Recovery | Step | None = None
) -> NDArray[np.float32] | None:
    """`disagreement` in standard deviations of the input's noise.

    Returns:
        An array like that of the input; None where the noise is not known or as `disagreement`.
    """
    if (noise := input_noise(scan)) is None:
        return None
    found = disagreement(scan, bigger, acquisition)
    return None if found is None else np.divide(found, np.float32(noise), out=found)


def input_noise(scan: Scan) -> float | None:
    """Standard deviation of a scan's noise, on its scale; fine texture counts as noise.

    At least `QUIET` of what is bright: computed images have no noise, and rounding has no meaning.
    """
    volume = scan.first_volume
    across = int(np.argmin(volume.shape))
    stack = volume[None] if volume.ndim == 2 else np.moveaxis(volume, across, 0)
    count = len(stack)
    middle = stack[count // 4 : count - count // 4][:: max(1, count // SAMPLED)]
    images = [np.nan_to_num(image).astype(np.float32) for image in middle if min(image.shape) > 1]
    images = [image for image in images if image.min() < image.max()]
    found = []
    for image in images:
        dark, bright = levels_of_slice(image)
        span = bright - dark
        if (noise := noise_of((image - np.float32(dark)) / np.float32(span))) is not None:
            found.append(span * max(noise, QUIET))
    return float(np.median(found)) if found else None


def _as_scanned(
    image: NDArray, shape: tuple[int, ...], acquisition: Recovery | Step | None
) -> NDArray:
    if isinstance(acquisition, Recovery):
        return acquisition.acquire(_degraded(image, shape))
    return _degraded(image, shape, acquisition)


def _without_apart(scan: Scan, bigger: Scan) -> tuple[Scan, Scan]:
    """Both without voxels that are no measurement; the same where there are none."""
    low, high = scan.array, bigger.array
    ratios = [old / new for old, new in zip(low.shape[:3], high.shape[:3], strict=True)]
    for volume in range(low.shape[3] if low.ndim == 4 else 1):
        chosen = (..., volume) if low.ndim == 4 else ...
        apart = Apart.of(scan.array[chosen], scan.padding)
        if apart is not None:
            if low is scan.array:
                low, high = low.copy(order="K"), high.copy(order="K")
            low[chosen] = apart.clean
            apart.take_out(high[chosen], ratios)
    return replace(scan, array=low), replace(bigger, array=high)


def _same_field_of_view(scan: Scan, bigger: Scan) -> bool:
    old, new = scan.array.shape, bigger.array.shape
    if len(old) != len(new) or old[3:] != new[3:]:
        return False
    if any(after < before for before, after in zip(old, new, strict=True)):
        return False
    if scan.affine is None or bigger.affine is None:
        return scan.affine is bigger.affine
    corners = np.array(list(np.ndindex(2, 2, 2)), dtype=np.float64)
    in_old_voxels = np.linalg.inv(scan.affine) @ bigger.affine
    sizes = np.array([(*old, 1)[:3], (*new, 1)[:3]])
    edges = corners * sizes[1] - 0.5
    moved = edges @ in_old_voxels[:3, :3].T + in_old_voxels[:3, 3]
    return bool(np.abs(moved - (corners * sizes[0] - 0.5)).max() < ALIGNED)


def _slabs(low: NDArray, high: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Matching parts of both, slice by slice across an axis that kept its size, if there is one."""
    kept = [axis for axis in range(low.ndim) if low.shape[axis] == high.shape[axis]]
    if not kept:
        yield low, high
        return
    # Views: numpy's take would first copy the whole of an array in Fortran's order, each time.
    yield from zip(np.moveaxis(low, kept[-1], 0), np.moveaxis(high, kept[-1], 0), strict=True)


def _degraded(image: NDArray, shape: tuple[int, ...], step: Step | None = None) -> NDArray:
    if step is None and image.ndim == 2 and all(np.not_equal(image.shape, shape)):
        return _cropped(image, (shape[0], shape[1]))
    for axis, size in enumerate(shape):
        old = image.shape[axis]
        if old != size:
            weights = _crop(old, size)
            if step is not None and axis in step.axes and old == step.factor * size:
                weights = _spread(step.way, old, size)
            lines = np.tensordot(image, weights, axes=(axis, 0))
            image = np.moveaxis(lines, -1, axis)
    return image


def _cropped(image: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """A slice of less k-space along both axes: quicker than a matrix for each."""
    import torch

    from iconet.physics.kspace import low_frequencies

    if image.flags.f_contiguous:  # as slices of volumes are: nothing has to be copied
        return _cropped(image.T, size[::-1]).T
    real = torch.from_numpy(np.ascontiguousarray(image, np.float32))
    found: NDArray[np.float32] = low_frequencies(real, size).numpy()
    return found


@cache
def _crop(old: int, new: int) -> NDArray[np.float32]:
    """What cropping k-space does to a line, as a matrix (old, new): quicker than transforms."""
    import torch

    from iconet.physics.kspace import resize_kspace

    return resize_kspace(torch.eye(old, dtype=torch.float64), (old, new)).float().numpy()


@cache
def _spread(way: str | None, old: int, new: int) -> NDArray[np.float32]:
    """What made a line smaller, likewise; the mean where it is not known."""
    from iconet.physics.point_spread import POINT_SPREADS

    spread = POINT_SPREADS.get(way or "", POINT_SPREADS["block means"])
    return spread(old, old // new).numpy().T
