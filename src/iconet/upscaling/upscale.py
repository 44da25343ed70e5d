"""Upscaling a whole scan, and the public `iconet.upscale`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images.geometry import choose_slice_axis, scaled_affine, updated_header
from iconet.images.scan import Scan
from iconet.upscaling.device import Compute, choose_compute
from iconet.upscaling.memory import check_memory
from iconet.upscaling.slices import Progress, predict_stack

if TYPE_CHECKING:
    import nibabel
    import torch

SCALES = (2, 4)
"""The scales that come with trained weights."""

StackFilter = Callable[[NDArray, NDArray], None]
"""Reads a stack of slices (N, H, W) and fills the resized stack."""


def upscale(
    scan: "str | os.PathLike | nibabel.spatialimages.SpatialImage | NDArray",
    model: "str | os.PathLike | torch.nn.Module" = "mri-x2",
    *,
    plane: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> "nibabel.Nifti1Image | NDArray":
    """Make an image bigger in the plane of its slices.

    Args:
        scan: path of a NIfTI, NumPy, PNG or TIFF file; a nibabel image; or a real array (H, W),
            (I, J, K) or (I, J, K, T). Series are taken volume by volume.
        model: name of a trained model, path of a .safetensors file, or what `iconet.load` returned.
        plane: which slices go through the network: "auto" (across the thickest axis, else the axis
            with the fewest voxels), "axial", "coronal", "sagittal", or the axis across the slices,
            "i", "j" or "k". Arrays have no anatomy and take only "auto" and the axes.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        batch: slices that go through the network together.
        tile: side, in input pixels, of the tiles large slices are cut into.
        progress: called with (slices done, slices in all).

    Returns:
        A nibabel image for NIfTI and nibabel input, else an array. Intensities are on the input's
        scale; integer types stay what they were, rounded and saturated, others become float32.

    Raises:
        InputError: the scan, the model or an option cannot be used.
    """
    from iconet.images import from_object, to_object

    source = from_object(scan)
    compute = choose_compute(device, precision)
    network = open_model(model, device=str(compute.device))
    bigger = upscale_scan(
        source, network, plane=plane, compute=compute, batch=batch, tile=tile, progress=progress
    )
    return to_object(bigger)


def upscale_scan(
    scan: Scan,
    network: "torch.nn.Module",
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
    axis = slice_axis(scan, plane)
    check_memory(
        scan,
        axis,
        factor,
        halo=network.halo,
        tile=tile,
        batch=batch,
        device=compute.device.type,
    )
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

    return resize_in_plane(scan, axis, (factor, 1), fill)


def slice_axis(scan: Scan, plane: str) -> int | None:
    """The axis across the slices; None for a 2-D picture, which is its own slice."""
    if scan.array.ndim == 2:
        if plane != "auto":
            raise InputError(f"{scan.name} is a single 2-D image: leave plane at auto")
        return None
    return choose_slice_axis(scan.array.shape[:3], scan.spacing, plane, affine=scan.affine)


def resize_in_plane(
    scan: Scan, axis: int | None, ratio: tuple[int, int], fill: StackFilter
) -> Scan:
    """A scan with more or fewer pixels in each slice over the same field of view.

    Args:
        scan: (H, W), (I, J, K) or (I, J, K, T).
        axis: the axis across the slices, None for (H, W).
        ratio: output pixels over input pixels, as a fraction in whole numbers.
        fill: called for every volume with views of its slices (N, H, W) before and after.
    """
    array = scan.array
    up, down = ratio
    in_plane = [index for index in range(min(array.ndim, 3)) if index != axis]
    for index in in_plane:
        if array.shape[index] < 2:
            raise InputError(
                f"{scan.name} has slices one pixel wide (shape {array.shape}): "
                "choose another plane or give a whole image"
            )
    shape = tuple(
        size * up // down if index in in_plane else size for index, size in enumerate(array.shape)
    )
    # NIfTI stores the first axis fastest: in that order it is written without another copy.
    bigger = np.empty(shape, np.float32, order="F")
    for volume in range(array.shape[3] if array.ndim == 4 else 1):
        chosen = (..., volume) if array.ndim == 4 else ...
        fill(_as_stack(array[chosen], axis), _as_stack(bigger[chosen], axis))

    affine = header = None
    if scan.affine is not None:
        factors = [up / down if index in in_plane else 1.0 for index in range(3)]
        affine = scaled_affine(scan.affine, factors)
        if scan.header is not None:
            header = updated_header(scan.header, affine, shape)
    return Scan(bigger, affine, header=header, dtype=scan.dtype, path=scan.path)


def _as_stack(volume: NDArray, axis: int | None) -> NDArray:
    return volume[None] if axis is None else np.moveaxis(volume, axis, 0)


def open_model(
    model: "str | os.PathLike | torch.nn.Module | None" = None,
    *,
    scale: int | None = None,
    device: str = "cpu",
) -> "torch.nn.Module":
    """Load a model, or take the one that is there, and see that it has the scale asked for.

    Raises:
        InputError: unknown or broken model; a scale without weights; model and scale disagree.
    """
    if scale is not None and scale not in SCALES:
        raise InputError(f"scale {scale} is not available: use {' or '.join(map(str, SCALES))}")
    if model is None:
        model = f"mri-x{scale or SCALES[0]}"
    if isinstance(model, str | os.PathLike):
        from iconet import zoo

        network = zoo.load(model, device=device)
        name = Path(model).name
    else:
        network, name = model.to(device), "the model"
    if scale is not None and network.scale != scale:
        raise InputError(f"{name} enlarges {network.scale}x, not {scale}x: leave out one of the two")
    return network
