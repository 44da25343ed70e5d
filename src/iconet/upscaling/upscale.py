"""Upscaling a whole scan, and the public `iconet.upscale`."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import (
    Scan,
    from_array,
    from_nibabel,
    read,
    respaced_affine,
    to_array,
    to_nibabel,
    updated_header,
)
from iconet.images.memory import require_memory_to_upscale
from iconet.runtime.device import Compute, choose_compute
from iconet.upscaling.models import Models
from iconet.upscaling.operations import as_stack, memory_between, operations
from iconet.upscaling.plan import Wanted, plan_grid
from iconet.upscaling.slices import Progress

if TYPE_CHECKING:
    import nibabel

    from iconet.network import ICONet

SCALES = (2, 4)
"""The scales that come with trained weights."""

VolumeFilter = Callable[[NDArray, NDArray], None]
"""Reads a volume, or its slices, and fills the one on the new grid."""


def upscale(
    scan: "str | os.PathLike | nibabel.spatialimages.SpatialImage | NDArray",
    model: "str | os.PathLike | ICONet | None" = None,
    *,
    plane: str = "auto",
    axes: str = "auto",
    spacing: str | float | Sequence[float] | None = None,
    isotropic: bool = False,
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
    series: str | int | None = None,
    progress: Progress | None = None,
) -> "nibabel.Nifti1Image | NDArray":
    """Make an image finer: in the plane of its slices, across them, or to any spacing.

    An axis alone, such as that of thick slices, becomes finer in both planes that contain it, and
    the two results are averaged (`iconet.upscaling.one_axis`). A spacing is reached by as many
    networks as make the voxels at least as fine, and an antialiased resampling; the field of view
    keeps its centre and, where it is a multiple of the spacing, its edges.

    Args:
        scan: path of a NIfTI, NRRD, MetaImage, NumPy, PNG or TIFF file, or of a DICOM series (its
            folder, a zip or a DICOMDIR); a nibabel image; or a real array (H, W), (I, J, K) or
            (I, J, K, T). 4-D series are taken volume by volume.
        model: name of a trained model, path of a .safetensors file, or what `iconet.load` returned;
            it then takes every step. By default the package's own for each: `mri-x2` in the plane.
        plane: which slices go through the network: "auto" (across the thickest axis, else the axis
            with the fewest voxels), "axial", "coronal", "sagittal", or the axis across the slices,
            "i", "j" or "k". Arrays have no anatomy and take only "auto" and the axes.
        axes: the voxel axes that become finer, such as "k", "ij" or "ijk"; "auto": the two of the
            plane, or with a spacing all three.
        spacing: of the result, in mm: one number, or one for each voxel axis. Axes that are finer
            already become coarser, as long as another one becomes finer.
        isotropic: make all spacings the smallest one.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        backend: what runs the network: "auto" (OpenVINO on a CPU where it is installed), "torch",
            "openvino" or "onnxruntime".
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
    compute = choose_compute(device, precision, backend)
    wanted = Wanted(axes, spacing, isotropic)
    network = open_model(model, device=str(compute.device))
    models = Models(network, only=model is not None, device=str(compute.device))
    # Where the plain enlargement does not fit into memory, reading can say so before it begins.
    factor = network.scale if wanted == Wanted() else 1
    if isinstance(scan, str | os.PathLike):
        source = read(scan, scale=factor, series=series)
    elif isinstance(scan, np.ndarray):
        source = from_array(scan, scale=factor)
    else:
        source = from_nibabel(scan, scale=factor)
    bigger = upscale_scan(
        source,
        models,
        plane=plane,
        wanted=wanted,
        compute=compute,
        batch=batch,
        tile=tile,
        progress=progress,
    )
    return to_array(bigger) if bigger.affine is None else to_nibabel(bigger)


def upscale_scan(
    scan: Scan,
    models: Models,
    *,
    plane: str = "auto",
    wanted: Wanted | None = None,
    compute: Compute,
    batch: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Upscale a scan that has been read; see `upscale`.

    Returns:
        A float32 scan that remembers the on-disk type of the input.
    """
    plan = plan_grid(scan, models, plane=plane, wanted=wanted or Wanted())
    chain = operations(plan, models, compute=compute, batch=batch, tile=tile)
    require_memory_to_upscale(
        scan,
        math.prod((*plan.shape, *scan.array.shape[3:])),
        memory_between(chain, scan.array.shape[:3]),
    )
    total, shape = 0, scan.array.shape[:3]
    for operation in chain:
        total, shape = total + operation.windows(shape), operation.shape(shape)
    volumes = scan.array.shape[3] if scan.array.ndim == 4 else 1
    finished = 0

    def report(done: int, _: int) -> None:
        if progress is not None:
            progress(finished + done, volumes * total)

    def fill(volume: NDArray, out: NDArray) -> None:
        nonlocal finished
        for operation in chain:
            windows = operation.windows(volume.shape)
            volume = operation(volume, out if operation is chain[-1] else None, report)
            finished += windows

    from torch import OutOfMemoryError

    try:
        return regrid(scan, plan.shape, plan.ratios, fill)
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{scan.name}: the memory of {compute.device} is too small: try --tile 128 or the CPU"
        ) from None


def resize_in_plane(scan: Scan, axis: int, ratio: tuple[int, int], fill: VolumeFilter) -> Scan:
    """A scan with more or fewer pixels in each slice over the same field of view.

    Args:
        scan: (i, j), (i, j, k) or (i, j, k, t).
        axis: the axis across the slices.
        ratio: output pixels over input pixels, as a fraction in whole numbers.
        fill: called for every volume with views of its slices (N, H, W) before and after.
    """
    up, down = ratio
    sizes = scan.array.shape[:3]
    return regrid(
        scan,
        [size if index == axis else size * up // down for index, size in enumerate(sizes)],
        [1.0 if index == axis else down / up for index in range(len(sizes))],
        lambda volume, out: fill(as_stack(volume, axis), as_stack(out, axis)),
    )


def regrid(scan: Scan, shape: Sequence[int], ratios: Sequence[float], fill: VolumeFilter) -> Scan:
    """A scan on a grid with the same axes and the same centre of the field of view.

    Args:
        scan: (i, j), (i, j, k) or (i, j, k, t).
        shape: voxels along its spatial axes on the new grid.
        ratios: new over old spacing along these.
        fill: called for every volume, before and after.
    """
    array = scan.array
    new_shape = (*shape, *array.shape[3:])
    affine, header = scan.affine, scan.header
    if affine is not None:
        missing = 3 - len(ratios)
        affine = respaced_affine(
            affine,
            [*array.shape[:3], *[1] * missing],
            [*shape, *[1] * missing],
            [*ratios, *[1.0] * missing],
        )
    if header is not None and affine is not None:
        try:
            header = updated_header(header, affine, new_shape)
        except InputError as error:
            raise InputError(f"{scan.name}: {error}") from None
    # NIfTI stores the first axis fastest: in that order it is written without another copy.
    new = np.empty(new_shape, np.float32, order="C" if scan.affine is None else "F")
    for volume in range(array.shape[3] if array.ndim == 4 else 1):
        chosen = (..., volume) if array.ndim == 4 else ...
        fill(array[chosen], new[chosen])
    return replace(scan, array=new, affine=affine, header=header)


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
    network = load_model(model, scale=scale, device=device)
    if network.channels != 1:
        raise InputError(
            "the model takes complex images with their k-space, not magnitude images: "
            f"for a scan as it is stored choose mri-x{network.scale}"
        )
    return network


def load_model(
    model: "str | os.PathLike | ICONet | None",
    *,
    scale: int | None,
    device: str,
    kind: str = "",
) -> "ICONet":
    """`open_model` for images of any kind.

    Args:
        model: as there.
        scale: see there.
        device: see there.
        kind: what the name of the model that is taken by default ends in, such as "-joint".
    """
    if scale is not None and scale not in SCALES:
        raise InputError(f"scale {scale} is not available: use {' or '.join(map(str, SCALES))}")
    if model is None:
        model = f"mri-x{scale or SCALES[0]}{kind}"
    if isinstance(model, str | os.PathLike):
        from iconet import zoo

        network = zoo.load(os.fspath(model), device=device)
    else:
        network = model.to(device).eval()
    if scale is not None and network.scale != scale:
        raise InputError(
            f"the model enlarges {network.scale}x, not {scale}x: give only one of them"
        )
    return network
