"""Upscaling a whole scan, and the public `iconet.upscale`."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import (
    Scan,
    check_upscalable,
    choose_slice_axis,
    from_array,
    from_nibabel,
    read,
    scaled_affine,
    to_array,
    to_nibabel,
    updated_header,
)
from iconet.upscaling.device import Compute, choose_compute
from iconet.upscaling.memory import check_memory
from iconet.upscaling.slices import Progress, plan_windows, predict_stack

if TYPE_CHECKING:
    import nibabel

    from iconet.network import ICONet

SCALES = (2, 4)
"""The scales that come with trained weights."""

StackFilter = Callable[[NDArray, NDArray], None]
"""Reads a stack of slices (N, H, W) and fills the resized stack."""


def upscale(
    scan: "str | os.PathLike | nibabel.spatialimages.SpatialImage | NDArray",
    model: "str | os.PathLike | ICONet" = "mri-x2",
    *,
    plane: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
    series: str | int | None = None,
    progress: Progress | None = None,
) -> "nibabel.Nifti1Image | NDArray":
    """Make an image bigger in the plane of its slices.

    Args:
        scan: path of a NIfTI, NRRD, MetaImage, NumPy, PNG or TIFF file, or of a DICOM series (its
            folder, a zip or a DICOMDIR); a nibabel image; or a real array (H, W), (I, J, K) or
            (I, J, K, T). 4-D series are taken volume by volume.
        model: name of a trained model, path of a .safetensors file, or what `iconet.load` returned.
        plane: which slices go through the network: "auto" (across the thickest axis, else the axis
            with the fewest voxels), "axial", "coronal", "sagittal", or the axis across the slices,
            "i", "j" or "k". Arrays have no anatomy and take only "auto" and the axes.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        batch: slices that go through the network together.
        tile: side, in input pixels, of the tiles large slices are cut into.
        series: which of several DICOM series: its UID, number or a part of its description.
        progress: called with (done, in all), in slices or, where slices are cut, in tiles.

    Returns:
        A nibabel image for input with a geometry, else an array. Intensities are on the input's
        scale; integer types stay what they were, rounded and saturated, others become float32.

    Raises:
        InputError: the scan, the model or an option cannot be used.
    """
    compute = choose_compute(device, precision)
    network = open_model(model, device=str(compute.device))
    if isinstance(scan, str | os.PathLike):
        source = read(scan, scale=network.scale, series=series)
    elif isinstance(scan, np.ndarray):
        source = from_array(scan, scale=network.scale)
    else:
        source = from_nibabel(scan, scale=network.scale)
    bigger = upscale_scan(
        source, network, plane=plane, compute=compute, batch=batch, tile=tile, progress=progress
    )
    return to_array(bigger) if bigger.affine is None else to_nibabel(bigger)


def upscale_scan(
    scan: Scan,
    network: "ICONet",
    *,
    plane: str = "auto",
    compute: Compute,
    batch: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Upscale a scan that has been read; see `upscale`.

    Returns:
        A float32 scan that remembers the on-disk type of the input.
    """
    factor = network.scale
    axis = choose_slice_axis(scan.array.shape, scan.spacing, plane, affine=scan.affine)
    check_upscalable(scan, axis)
    sides = [size for index, size in enumerate(scan.array.shape[:3]) if index != axis]
    where = compute.device.type
    plan = plan_windows(network, *sides, device=where, batch=batch, tile=tile)
    check_memory(scan, factor, plan.memory if where == "cpu" else 0)
    volumes = scan.array.shape[3] if scan.array.ndim == 4 else 1
    finished = 0

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(finished * total + done, volumes * total)

    def fill(stack: NDArray, out: NDArray) -> None:
        nonlocal finished
        predict_stack(
            network, stack, out=out, compute=compute, batch=batch, tile=tile, progress=report
        )
        finished += 1

    from torch import OutOfMemoryError

    try:
        return resize_in_plane(scan, axis, (factor, 1), fill)
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{scan.name}: the memory of {compute.device} is too small: try --tile 128 or the CPU"
        ) from None


def resize_in_plane(scan: Scan, axis: int, ratio: tuple[int, int], fill: StackFilter) -> Scan:
    """A scan with more or fewer pixels in each slice over the same field of view.

    Args:
        scan: (i, j), (i, j, k) or (i, j, k, t).
        axis: the axis across the slices.
        ratio: output pixels over input pixels, as a fraction in whole numbers.
        fill: called for every volume with views of its slices (N, H, W) before and after.
    """
    array = scan.array
    up, down = ratio
    in_plane = {0, 1, 2} - {axis}
    shape = tuple(
        size * up // down if index in in_plane else size for index, size in enumerate(array.shape)
    )
    affine, header = scan.affine, scan.header
    if affine is not None:
        factors = [up / down if index in in_plane else 1.0 for index in range(3)]
        affine = scaled_affine(affine, factors)
    if header is not None and affine is not None:
        try:
            header = updated_header(header, affine, shape)
        except InputError as error:
            raise InputError(f"{scan.name}: {error}") from None
    # NIfTI stores the first axis fastest: in that order it is written without another copy.
    bigger = np.empty(shape, np.float32, order="C" if scan.affine is None else "F")
    for volume in range(array.shape[3] if array.ndim == 4 else 1):
        chosen = (..., volume) if array.ndim == 4 else ...
        fill(_as_stack(array[chosen], axis), _as_stack(bigger[chosen], axis))

    return replace(scan, array=bigger, affine=affine, header=header)


def _as_stack(volume: NDArray, axis: int) -> NDArray:
    return volume[None] if volume.ndim == 2 else np.moveaxis(volume, axis, 0)


def open_model(
    model: "str | os.PathLike | ICONet | None" = None,
    *,
    scale: int | None = None,
    device: str = "cpu",
) -> "ICONet":
    """Load a model, or take the one that is there, and see that it has the scale asked for.

    Raises:
        InputError: unknown or broken model; a scale without weights; model and scale disagree; a
            model of complex images.
    """
    if scale is not None and scale not in SCALES:
        raise InputError(f"scale {scale} is not available: use {' or '.join(map(str, SCALES))}")
    if model is None:
        model = f"mri-x{scale or SCALES[0]}"
    if isinstance(model, str | os.PathLike):
        from iconet import zoo

        network = zoo.load(os.fspath(model), device=device)
    else:
        network = model.to(device).eval()
    if scale is not None and network.scale != scale:
        raise InputError(
            f"the model enlarges {network.scale}x, not {scale}x: give only one of them"
        )
    if network.channels != 1:
        raise InputError(
            "the model takes complex images with their k-space, not magnitude images: "
            f"for a scan as it is stored choose mri-x{network.scale}"
        )
    return network
