"""Upscaling a whole scan, and the public `iconet.upscale`."""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, from_array, from_nibabel, read, to_array, to_nibabel
from iconet.images.memory import require_memory_to_upscale
from iconet.images.own import mark
from iconet.runtime.device import Compute, choose_compute
from iconet.upscaling.apart import MEMORY, Apart, SetApart
from iconet.upscaling.fidelity import keep_background
from iconet.upscaling.models import Models
from iconet.upscaling.operations import Operation, memory_between, operations
from iconet.upscaling.options import Options
from iconet.upscaling.plan import GridPlan, plan_grid, remarks, taking_part
from iconet.upscaling.regrid import regrid
from iconet.upscaling.slices import Progress
from iconet.zoo.model import open_model

if TYPE_CHECKING:
    import nibabel

    from iconet.network import ICONet


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
    acquired: str = "auto",
    window: str = "auto",
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
            it then takes every step. By default the package's own for each: `mri-x2` in the plane;
            a kind of image that none was trained for (CT, PET) is interpolated instead.
        plane: which slices go through the network: "auto" (across the thickest axis, else the axis
            with the fewest voxels), "axial", "coronal", "sagittal", or the axis across the slices,
            "i", "j" or "k". Arrays have no anatomy and take only "auto" and the axes.
        axes: the voxel axes that become finer, such as "k", "ij" or "ijk"; "auto": the two of the
            plane, or with a spacing all three.
        spacing: of the result, in mm: one number, or one for each voxel axis. Axes that are finer
            already become coarser, as long as another one becomes finer.
        isotropic: make all spacings the smallest one.
        device: "auto", "cpu", "cuda", "cuda:1", ... or "mps".
        precision: "auto", "fp32" or "bf16".
        backend: what runs the network: "auto" (OpenVINO on a CPU where it is installed), "torch",
            "openvino" or "onnxruntime".
        batch: slices that go through the network together.
        tile: side, in input pixels, of the tiles large slices are cut into.
        series: which of several DICOM series: its UID, number or a part of its description.
        acquired: of MR slices that the scanner interpolated, the matrix that was acquired, along
            the plane's first and second axis, such as "192x256"; "auto" finds it in the spectrum,
            "off" takes the slices as they are. They are enlarged from what was acquired.
        window: the k-space window to undo first: "auto" (found in the spectrum), "none", "hamming",
            "hann", "fermi", "tukey" or "elliptical".
        progress: called with (done, in all), in slices or, where slices are cut, in tiles.

    Returns:
        A nibabel image for input with a geometry, else an array. Intensities are on the input's
        scale; integer types stay what they were, rounded and saturated, others become float32.
        NaN, padding and single voxels far beyond all others change nothing but their own places
        (`iconet.upscaling.apart`).

    Raises:
        InputError: the scan, the model or an option cannot be used.

    Warns:
        UserWarning: the model was not trained for this kind of image, or none was and the image is
            interpolated.
    """
    options = Options(
        *(model, None, plane, axes, spacing, isotropic),
        *(device, precision, backend, batch, tile, series),
        acquired=acquired,
        window=window,
    )
    compute = choose_compute(device, precision, backend)
    chosen = open_model(model, device=str(compute.device))
    models = Models(chosen, only=model is not None, device=str(compute.device))
    # Where the plain enlargement does not fit into memory, reading can say so before it begins.
    factor = 1 if options.own_grid else chosen.scale
    if isinstance(scan, str | os.PathLike):
        source = read(scan, scale=factor, series=series)
    elif isinstance(scan, np.ndarray):
        source = from_array(scan, scale=factor)
    else:
        source = from_nibabel(scan, scale=factor)
    plan = plan_grid(source, models, options)
    for line in remarks(source, plan, models):
        warnings.warn(line, UserWarning, stacklevel=2)
    bigger = upscale_scan(source, plan, models, compute, options, progress=progress)
    return to_array(bigger) if bigger.affine is None else to_nibabel(bigger)


def upscale_scan(
    scan: Scan,
    plan: GridPlan,
    models: Models,
    compute: Compute,
    options: Options,
    *,
    progress: Progress | None = None,
    note: Callable[[SetApart], None] | None = None,
) -> Scan:
    """Upscale a scan that has been read, as planned.

    Args:
        scan: the scan.
        plan: of `plan_grid` for this scan, these models and options.
        models: the networks.
        compute: device, precision and runtime.
        options: how large slices are cut.
        progress: see `upscale`.
        note: called with what was set apart, for every volume of which something was.

    Returns:
        A float32 scan that remembers the on-disk type of the input.

    Raises:
        InputError: memory is too small.
    """
    chain = operations(plan, models, compute, options)
    shape, volumes = scan.array.shape[:3], math.prod(scan.array.shape[3:])
    needed = memory_between(chain, shape) + MEMORY * math.prod(shape)
    require_memory_to_upscale(scan, math.prod(plan.shape) * volumes, needed)
    total = volumes * _windows(chain, shape)
    finished = 0

    def advance(done: int, _: int) -> None:
        if progress is not None:
            progress(finished + done, total)

    def fill(volume: NDArray, out: NDArray) -> None:
        nonlocal finished
        apart = Apart.of(volume, scan.padding)
        image = clean = volume if apart is None else apart.clean
        for operation in chain:
            windows = operation.windows(image.shape)
            image = operation(image, out if operation is chain[-1] else None, advance)
            finished += windows
        if plan.resampled or plan.recovery is not None:
            keep_background(clean, out, plan.across, plan.ratios)
        if apart is not None:
            apart.put_back(out, plan.ratios)
            if note is not None:
                note(apart.found)

    with _memory_errors(scan, compute):
        made = regrid(scan, plan.shape, plan.ratios, fill)
    names = [model.name or "weights of a user" for model in taking_part(plan, models)]
    return replace(made, mark=mark(" + ".join(names) or None, plan.finest))


@contextmanager
def _memory_errors(scan: Scan, compute: Compute) -> Iterator[None]:
    from torch import OutOfMemoryError

    try:
        yield
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{scan.name}: the memory of {compute.device} is too small: try --tile 128 or the CPU"
        ) from None


def _windows(chain: Sequence[Operation], shape: tuple[int, ...]) -> int:
    """How much of the progress the operations are, one after the other."""
    total = 0
    for operation in chain:
        total, shape = total + operation.windows(shape), operation.shape(shape)
    return total
