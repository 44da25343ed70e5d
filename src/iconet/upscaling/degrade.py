"""A low-resolution scan to try things on: what a faster acquisition would have given."""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, check_output, read, refuse_nan, slice_axis_of, write
from iconet.images.in_memory import take
from iconet.images.kind import kind_of
from iconet.images.kind.kinds import PROBABILITIES, refuse_phase
from iconet.intensity import robust_scale
from iconet.upscaling.labels import LostLabelsError, relabel
from iconet.upscaling.probabilities import blend
from iconet.upscaling.regrid import regrid, resize_in_plane

if TYPE_CHECKING:
    import nibabel
    import SimpleITK
    from nibabel.spatialimages import SpatialImage
    from torch import Tensor

Fill = Callable[[NDArray, NDArray, Mapping[int, float]], None]


class Settings(TypedDict, total=False):
    """The options of `degrade`, which documents them, for its overloads."""

    scale: int
    axis: str | None
    thickness: float | None
    noise: float
    seed: int
    series: str | int | None
    volume: int | None
    allow_missing: bool
    kind: str
    axes_order: str | None


def degrade_scan(
    scan: Scan, scale: int, *, noise: float = 0.0, seed: int = 0, kind: str = "auto"
) -> Scan:
    """Lower the resolution in the plane of the slices by cropping k-space.

    Sizes that `scale` does not divide lose their last rows and columns. Where the scan has no
    negative values the result is a magnitude, as a scanner gives it. Labels become those that fill
    most of the new voxels.

    Args:
        scan: a scan as read.
        scale: how many times fewer voxels along each side of a slice, at least 2.
        noise: standard deviation of the complex noise, in percent of the 99.5th percentile of the
            bright voxels.
        seed: of the noise.
        kind: see `iconet.upscale`.

    Raises:
        InputError: wrong scale or noise, noise asked for on signed values or labels, NaN, slices
            too small, or a phase.
    """
    import torch

    from iconet.physics.kspace import crop_kspace
    from iconet.physics.noise import rician

    magnitude = _check_noise(scan, scale, noise)
    instead = _instead(scan, kind, noise)
    axis = slice_axis_of(scan)
    shape = [
        size if index in (axis, 3) else size - size % scale
        for index, size in enumerate(scan.array.shape)
    ]
    if min(size for index, size in enumerate(shape) if index not in (axis, 3)) < 2 * scale:
        raise InputError(f"{scan.name} is too small (shape {scan.array.shape}) for scale {scale}")
    cut = replace(scan, array=scan.array[tuple(map(slice, shape))])
    if instead is not None:
        within = {a: float(scale) for a in range(len(shape[:3])) if a != axis}
        return _regridded(cut, within, instead)
    generator = torch.Generator().manual_seed(seed)

    def fill(stack: NDArray, out: NDArray) -> None:
        sigma = noise / 100 * robust_scale(stack) if noise else 0.0
        for index in range(len(stack)):
            image = torch.from_numpy(np.ascontiguousarray(stack[index], np.float32))
            low = crop_kspace(image, scale)
            out[index] = (rician(low, sigma, generator) if magnitude else low).numpy()

    return resize_in_plane(cut, axis, (1, scale), fill)


def thicken_scan(
    scan: Scan,
    axis: str,
    scale: int,
    *,
    thickness: float | None = None,
    noise: float = 0.0,
    seed: int = 0,
    kind: str = "auto",
) -> Scan:
    """Merge thin slices into thick ones, through a Gaussian slice profile.

    Slices that do not make up a thick one are left out at the end. All else as in `degrade_scan`.

    Args:
        scan: a volume, or a series of them, as read.
        axis: the voxel axis across the slices: "i", "j" or "k".
        scale: thin slices for each thick one, at least 2.
        thickness: full width at half maximum of the profile in mm (in thin slices where the scan
            has no spacing); what is missing to the distance of the thick slices is a gap between
            them. By default there is none.
        noise: see `degrade_scan`, like the next ones.
        seed: of the noise.
        kind: of image.

    Raises:
        InputError: wrong axis, scale, thickness or noise, NaN, too few slices, or a phase.
    """
    import torch

    from iconet.physics.noise import rician
    from iconet.physics.slice_profile import thick_slices

    across = _across(scan, axis)
    magnitude = _check_noise(scan, scale, noise)
    instead = _instead(scan, kind, noise)
    width = _width(thickness, scale, scan.spacing[across])
    sizes = scan.array.shape[:3]
    count = sizes[across] // scale
    if count < 2:
        raise InputError(f"{scan.name}: {sizes[across]} slices along {axis} are too few to merge")
    whole = (*[slice(None)] * across, slice(count * scale))
    cut = replace(scan, array=scan.array[whole])
    if instead is not None:
        return _regridded(cut, {across: float(scale)}, instead)
    generator = torch.Generator().manual_seed(seed)

    def fill(volume: NDArray, out: NDArray) -> None:
        sigma = noise / 100 * robust_scale(volume) if noise else 0.0
        thin = torch.from_numpy(np.ascontiguousarray(np.moveaxis(volume, across, -1), np.float32))
        gap = max(0.0, scale - width)
        for index, image in enumerate(thin):
            low = thick_slices(image, scale, profile="gaussian", gap=gap)
            np.moveaxis(out, across, -1)[index] = (
                rician(low, sigma, generator) if magnitude else low
            )

    shape = [count if index == across else size for index, size in enumerate(sizes)]
    return regrid(cut, shape, [scale if i == across else 1 for i in range(3)], fill)


def _across(scan: Scan, axis: str) -> int:
    if axis not in ("i", "j", "k"):
        raise InputError(f"axis {axis}: give the one across the slices, i, j or k")
    if scan.array.ndim < 3:
        raise InputError(f"{scan.name}: is one slice; give a volume, or no axis")
    return "ijk".index(axis)


def _instead(scan: Scan, kind: str, noise: float) -> Fill | None:
    """What lowers the resolution of labels and probabilities; None for images.

    Raises:
        InputError: noise for these, or a phase.
    """
    found = kind_of(scan, kind)
    refuse_phase(found, scan.name)
    if not found.labels and found.name != PROBABILITIES:
        return None
    if noise:
        raise InputError(f"{scan.name}: {found.noun} ({found.why}) have no noise; give none")
    return relabel if found.labels else blend


def _regridded(cut: Scan, steps: dict[int, float], fill: Fill) -> Scan:
    sizes = cut.array.shape[:3]
    shape = [int(size / steps.get(axis, 1)) for axis, size in enumerate(sizes)]
    ratios = [steps.get(axis, 1.0) for axis in range(len(sizes))]
    try:
        return regrid(cut, shape, ratios, lambda volume, out: fill(volume, out, steps))
    except LostLabelsError:
        raise InputError(
            f"{cut.name}: so few voxels cannot hold all of its labels; give a smaller scale"
        ) from None


def _width(thickness: float | None, scale: int, spacing: float) -> float:
    """Of the thick slices, in thin ones."""
    width = scale if thickness is None else thickness / spacing
    if not 0 < width <= scale * (1 + 1e-6):
        raise InputError(
            f"thickness {thickness}: slices every {scale * spacing:g} mm are more than 0 and at "
            "most as thick"
        )
    return width


def _check_noise(scan: Scan, scale: int, noise: float) -> bool:
    """Whether the scan is a magnitude image; refuses what cannot be done to it."""
    refuse_nan(scan)
    if scale < 2:
        raise InputError(f"scale {scale} does not lower the resolution: use 2 or more")
    if not 0 <= noise < float("inf"):
        raise InputError(f"noise must be 0 or more percent, not {noise}")
    magnitude = bool(scan.array.min() >= 0)
    if noise and not magnitude:
        raise InputError(f"{scan.name} has negative values: Rician noise is for magnitude images")
    return magnitude


@overload
def degrade(
    scan: "str | os.PathLike[str] | SpatialImage", **settings: Unpack[Settings]
) -> "nibabel.Nifti1Image": ...
@overload
def degrade(scan: NDArray[Any], **settings: Unpack[Settings]) -> NDArray[Any]: ...
@overload
def degrade(scan: "Tensor", **settings: Unpack[Settings]) -> "Tensor": ...
# Where this package is checked neither library is followed: both are Any.
@overload
def degrade(  # type: ignore[overload-cannot-match]
    scan: "SimpleITK.Image", **settings: Unpack[Settings]
) -> "SimpleITK.Image": ...
def degrade(
    scan: Any,
    *,
    scale: int = 2,
    axis: str | None = None,
    thickness: float | None = None,
    noise: float = 0.0,
    seed: int = 0,
    series: str | int | None = None,
    volume: int | None = None,
    allow_missing: bool = False,
    kind: str = "auto",
    axes_order: str | None = None,
) -> Any:
    """Make a low-resolution scan to try things on: k-space cropped in plane, or thick slices.

    Args:
        scan: a scan as `iconet.upscale` takes it, except raw k-space.
        scale: how many times fewer voxels along each side of a slice, or how many times fewer
            slices.
        axis: make thick slices across this axis, "i", "j" or "k"; their plane stays.
        thickness: thickness of these slices in mm; less than their distance leaves gaps.
        noise: Rician noise, in percent of the bright tissue.
        seed: seed of the noise. In a batch, each image gets the next seed.
        series: which DICOM series, if there are several.
        volume: see `iconet.upscale`, and so for the next three.
        allow_missing: leave out files of a DICOM series that cannot be read.
        kind: what the image is.
        axes_order: axes of an array or tensor.

    Returns:
        The same kind of object as `iconet.upscale` returns.

    Raises:
        InputError: the scan or an option cannot be used.
    """
    given = take(
        scan, axes_order=axes_order, series=series, volume=volume, allow_missing=allow_missing
    )
    for line in given.remarks:
        warnings.warn(line, UserWarning, stacklevel=2)
    return given.back(
        [
            _lowered(one, axis, thickness, scale, noise, seed, kind, index)
            for index, one in enumerate(given.scans)
        ]
    )


def _lowered(
    scan: Scan,
    axis: str | None,
    thickness: float | None,
    scale: int,
    noise: float,
    seed: int,
    kind: str,
    index: int = 0,
) -> Scan:
    """Degrade one scan, the image of this number of a batch."""
    numbers: list[tuple[str, Any, type]] = [
        ("scale", scale, Integral),
        ("seed", seed, Integral),
        ("noise", noise, Real),
        ("thickness", 0 if thickness is None else thickness, Real),
    ]
    for name, value, numbers_of in numbers:
        if not isinstance(value, numbers_of):
            whole = "whole " * (numbers_of is Integral)
            raise InputError(f"{name} {value!r}: give a {whole}number")
    if thickness is not None and axis is None:
        raise InputError("--thickness needs --axis: give the axis across the slices too")
    if axis is None:
        return degrade_scan(scan, scale, noise=noise, seed=seed + index, kind=kind)
    return thicken_scan(
        scan, axis, scale, thickness=thickness, noise=noise, seed=seed + index, kind=kind
    )


def degrade_file(
    path: str | os.PathLike,
    output: str | os.PathLike,
    *,
    axis: str | None = None,
    thickness: float | None = None,
    scale: int = 2,
    noise: float = 0.0,
    seed: int = 0,
    series: str | None = None,
    kind: str = "auto",
    volume: int | None = None,
    allow_missing: bool = False,
    overwrite: bool = False,
) -> str:
    """Read, degrade as `degrade` does, write; returns lines that say so.

    Raises:
        InputError: the scan or an option cannot be used, or the output is there already.
    """
    check_output(output, [path])
    if not overwrite and Path(output).exists():
        raise InputError(f"{output}: is there already; give --overwrite to replace it")
    scan = read(path, series=series, volume=volume, allow_missing=allow_missing)
    check_output(output, [path], like=scan)
    low = _lowered(scan, axis, thickness, scale, noise, seed, kind)
    write(low, output, like=scan)
    return "\n".join([*scan.remarks, f"{output}: {scan.size} -> {low.size}"])
