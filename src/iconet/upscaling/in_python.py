"""The public `iconet.upscale`: what a Python program holds goes in, the same kind comes out."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack, overload

from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.in_memory import is_path, take
from iconet.images.kspace.read_kspace import is_kspace_file, read_kspace
from iconet.images.writing import to_nibabel
from iconet.runtime.backends import backend_for
from iconet.runtime.device import Compute, choose_compute
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.out_of_range import acceptable, out_of_range
from iconet.upscaling.plan import plan_grid, remarks
from iconet.upscaling.slices import Progress
from iconet.upscaling.upscale import upscale_scan
from iconet.zoo.model import open_model

if TYPE_CHECKING:
    import nibabel
    import SimpleITK
    from nibabel.spatialimages import SpatialImage
    from torch import Tensor

    from iconet.network import ICONet

    Chosen = str | os.PathLike[str] | ICONet | None


class Settings(TypedDict, total=False):
    """The options of `upscale`, which documents them, for the overloads below."""

    scale: int | None
    plane: str
    axes: str
    spacing: str | float | Sequence[float] | None
    isotropic: bool
    axes_order: str | None
    device: str
    precision: str
    backend: str
    batch: int | None
    tile: int | None
    series: str | int | None
    volume: int | None
    allow_missing: bool
    acquired: str
    window: str
    kind: str
    again: bool
    complex: bool
    uncertainty: bool
    best: bool
    strict: bool
    progress: Progress | None


class Interval(NamedTuple):
    """A result and the bounds between which 90 % of the true values are expected.

    Attributes:
        image: What `upscale` returns without bounds.
        lower: Of the same kind: 5 % of the true values are expected below.
        upper: 5 % are expected above. Everywhere lower <= image <= upper.
    """

    image: Any
    lower: Any
    upper: Any


@overload
def upscale(
    scan: "str | os.PathLike[str] | SpatialImage",
    model: "Chosen" = None,
    **settings: Unpack[Settings],
) -> "nibabel.Nifti1Image": ...
@overload
def upscale(
    scan: NDArray[Any], model: "Chosen" = None, **settings: Unpack[Settings]
) -> NDArray[Any]: ...
@overload
def upscale(scan: "Tensor", model: "Chosen" = None, **settings: Unpack[Settings]) -> "Tensor": ...
# Where this package is checked neither library is followed: both are Any.
@overload
def upscale(  # type: ignore[overload-cannot-match]
    scan: "SimpleITK.Image", model: "Chosen" = None, **settings: Unpack[Settings]
) -> "SimpleITK.Image": ...
def upscale(
    scan: Any,
    model: "Chosen" = None,
    *,
    scale: int | None = None,
    plane: str = "auto",
    axes: str = "auto",
    spacing: str | float | Sequence[float] | None = None,
    isotropic: bool = False,
    axes_order: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
    batch: int | None = None,
    tile: int | None = None,
    series: str | int | None = None,
    volume: int | None = None,
    allow_missing: bool = False,
    acquired: str = "auto",
    window: str = "auto",
    kind: str = "auto",
    again: bool = False,
    complex: bool = False,
    uncertainty: bool = False,
    best: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
) -> Any:
    """Make an image finer: in the plane of its slices, across them, or to any spacing.

    If you name one axis, such as that of thick slices, it becomes finer in both planes that contain
    it, and the two results are averaged (`iconet.upscaling.one_axis`). If you give a spacing,
    networks run in sequence until the voxels are at least as fine, and an antialiased resampling
    finishes the job. The field of view keeps its centre. It keeps its edges too where it is a
    multiple of the spacing.

    Args:
        scan: a path, an image or an array. Paths: NIfTI, NRRD, MetaImage, NumPy, PNG, TIFF, a DICOM
            series (its folder, a zip or a DICOMDIR), raw k-space (HDF5). Images: nibabel,
            SimpleITK. Arrays: real numbers in NumPy or torch. 4-D series are upscaled volume by
            volume.
        model: name of a trained model, path of a .safetensors file, or what `iconet.load` returned.
            That model then does every step. By default iconet chooses one for each step: `mri-x2`
            in the plane, `pet-x2` for PET. What no shipped model enlarges, such as CT, is
            interpolated.
        scale: 2 or 4; chooses the model if none is named. 1 gives the reconstruction of raw k-space
            at its own size.
        plane: which slices go through the network: "axial", "coronal", "sagittal", or the axis
            across the slices, "i", "j" or "k". "auto" cuts across the thickest axis, else the axis
            with the fewest voxels. Arrays have no anatomy and take only "auto" and the axes.
        axes: the voxel axes that become finer, such as "k", "ij" or "ijk". "auto": the two of the
            plane, or with a spacing all three.
        spacing: spacing of the result in mm: one number, or one for each voxel axis. An axis that
            is finer already becomes coarser, as long as another one becomes finer.
        isotropic: make all spacings equal to the smallest one.
        axes_order: what the axes of an array or tensor are, one letter for each, such as "bchw",
            "cdhw" or "ijkt". Two or three are "i", "j", "k", or "d", "h", "w" (slices, rows,
            columns; in their order they are i, j and k). "t" is for the volumes of a series, "b"
            and "c" for images and channels that are upscaled one by one. By default (I, J),
            (I, J, K) or (I, J, K, T). A 4-D array with fewer than 5 along one of its first two axes
            needs it.
        device: "auto", "cpu", "cuda", "cuda:1", ... or "mps".
        precision: "auto", "fp32" or "bf16".
        backend: what runs the network: "torch", "openvino" or "onnxruntime". "auto" takes OpenVINO
            on a CPU if it is installed, else torch.
        batch: slices that go through the network together.
        tile: side of the tiles, in input pixels, into which large slices are cut.
        series: which DICOM series, if there are several: its UID, number or part of its
            description.
        volume: which volume of a 4-D file, or of a DICOM series with several (echoes, b-values,
            phases, times), counted from 1; by default all.
        allow_missing: leave out files of a DICOM series that cannot be read, with a warning,
            instead of refusing the series.
        acquired: for MR slices that the scanner interpolated, the acquired matrix along the plane's
            first and second axis, such as "192x256". The slices are enlarged from there. "auto"
            finds it in the spectrum, "off" takes the slices as they are.
        window: the k-space window to undo first: "none", "hamming", "hann", "fermi", "tukey" or
            "elliptical". "auto" finds it in the spectrum.
        kind: what the image is: "mr", "ct", "pet", "map", "labels", "mask", "probabilities",
            "real", "imaginary" or "phase". "auto" goes by its header, name and values. Labels keep
            their values; a phase is refused.
        again: upscale results of iconet too.
        complex: give the complex image of raw k-space, not its magnitude.
        uncertainty: give both bounds of 90 % intervals too, see `Interval`.
        best: take the mean of the network's answers to the slice and to its flips and turns (see
            `iconet.upscaling.turns`). It takes up to 8 times as long.
        strict: refuse a scan that is unlike those of the network's training, instead of a warning.
        progress: called with (done, total), in slices, or in tiles if slices are cut.

    Returns:
        What went in: an array for an array, a tensor on the same device for a tensor, a SimpleITK
        image for one. A path or a nibabel image gives a nibabel image (an array if the file has no
        geometry). Intensities keep the input's scale. Integer types stay, rounded and saturated;
        others become float32. Raw k-space becomes a magnitude or complex image in its own units.
        NaN, padding and single voxels far beyond all others change nothing but their own places
        (`iconet.upscaling.apart`). With `uncertainty` an `Interval` of three of the kind.

    Raises:
        InputError: the scan, the model or an option cannot be used, or the scan is a result of
            iconet; with `uncertainty` it is interpolated or the weights have no intervals; with
            `strict` it is out of range.

    Warns:
        UserWarning: something was left out, converted or assumed when the scan was read. Or no
            model was trained for this kind of image. Or the values look like another kind. Or
            iconet found how the scan was acquired, and says what. Or the scan is unlike those of
            the network's training.
    """
    options = Options(
        *(model, scale, plane, axes, spacing, isotropic),
        *(device, precision, backend, batch, tile, series),
        acquired=acquired,
        window=window,
        kind=kind,
        volume=volume,
        allow_missing=allow_missing,
        again=again,
        complex=complex,
        uncertainty=uncertainty,
        best=best,
        strict=strict,
    )
    compute = choose_compute(device, precision, backend_for(model, backend))
    if is_path(scan) and axes_order is None and is_kspace_file(scan):
        return _upscale_kspace(scan, options, compute, progress)
    options.refuse_for_images()
    chosen = open_model(model, scale=scale, device=str(compute.device))
    models = Models(chosen, only=model is not None, device=str(compute.device))
    # Where the plain enlargement does not fit into memory, reading can say so before it begins.
    factor = 1 if options.own_grid else chosen.scale
    given = take(
        scan,
        axes_order=axes_order,
        scale=factor,
        series=series,
        volume=volume,
        allow_missing=allow_missing,
    )
    made, said = [], set[str]()
    for index, source in enumerate(given.scans):
        plan = plan_grid(source, models, options)
        if uncertainty and plan.interpolated:
            raise InputError(
                f"{source.name}: is interpolated without a network: no bounds; omit uncertainty"
            )
        found = acceptable(out_of_range(source, plan, models, options), options)
        findings = [finding.line for finding in found]
        for line in dict.fromkeys([*source.remarks, *remarks(source, plan, models), *findings]):
            if line not in said:
                warnings.warn(line, UserWarning, stacklevel=2)
                said.add(line)
        step = _part(progress, index, len(given.scans))
        made.append(upscale_scan(source, plan, models, compute, options, progress=step))
    if not uncertainty:
        return given.back(made)
    return Interval(given.back(made), *(given.back(each) for each in _bounds(made)))


def _bounds(made: Sequence[Scan]) -> Iterator[list[Scan]]:
    """The lower bounds of results, then the upper ones."""
    for side in (0, 1):
        yield [replace(scan, array=(scan.bounds or ())[side], bounds=None) for scan in made]


def _upscale_kspace(
    path: str | os.PathLike[str], options: Options, compute: Compute, progress: Progress | None
) -> "nibabel.Nifti1Image | Interval":
    # Here and not above: `iconet.upscale` and the command line of images start without it.
    from iconet.upscaling.from_kspace import open_kspace_models, upscale_kspace

    models = open_kspace_models(options, device=str(compute.device))
    compute = replace(compute, backend="torch")  # samples stay in torch
    made, found = upscale_kspace(
        read_kspace(path), models, compute=compute, options=options, progress=progress
    )
    for finding in found.findings:
        warnings.warn(finding.line, UserWarning, stacklevel=3)
    if not options.uncertainty:
        return to_nibabel(made)
    return Interval(to_nibabel(made), *(to_nibabel(each) for (each,) in _bounds([made])))


def _part(progress: Progress | None, index: int, count: int) -> Progress | None:
    """The progress of one of several images of a size."""
    if progress is None or count == 1:
        return progress
    return lambda done, total: progress(index * total + done, count * total)
