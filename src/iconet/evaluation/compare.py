"""`iconet evaluate`: one scan against another, number by number under the stated convention."""

import json
import math
import os
import sys
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from iconet.errors import InputError
from iconet.evaluation.metrics import CONVENTION, Metrics
from iconet.evaluation.metrics import evaluate as measure
from iconet.images.geometry import SAME_PLACE_MM, farthest_apart, slice_axis_of
from iconet.images.in_memory import is_path, name_of, take
from iconet.images.kind import kind_of, refuse_unless_image
from iconet.images.reading import refuse_nan
from iconet.images.scan import Scan

if TYPE_CHECKING:
    import SimpleITK
    from nibabel.spatialimages import SpatialImage
    from torch import Tensor

    Image: TypeAlias = str | os.PathLike[str] | SpatialImage | np.ndarray | Tensor | SimpleITK.Image

LARGEST_SCALE = 8
"""`iconet degrade` drops fewer last voxels than this, where the scale does not divide a size."""

LABELS = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "nmse": "NMSE",
    "haarpsi": "HaarPSI",
    "psnr_foreground": "PSNR, foreground (dB)",
    "ssim_foreground": "SSIM, foreground",
    "nmse_foreground": "NMSE, foreground",
}


@dataclass(frozen=True)
class Comparison:
    """Metrics of a prediction against a reference. ``str()`` is meant for people.

    Attributes:
        left_out: Voxels at the end of each axis of the reference that the prediction lacks.
    """

    prediction: Path | str
    reference: Path | str
    metrics: Metrics
    slice_axis: int
    left_out: tuple[int, ...]
    convention: str = CONVENTION

    def __str__(self) -> str:
        width = max(map(len, LABELS.values()))
        values = asdict(self.metrics)
        lines = [f"{label:<{width}}  {values[name]:.6g}" for name, label in LABELS.items()]
        across = f"Slices across voxel axis {'ijk'[self.slice_axis]}."
        if any(self.left_out):
            missing = " x ".join(map(str, self.left_out))
            across += f" The last {missing} voxels of the reference, not predicted, are left out."
        return "\n".join([*lines, f"{across} {self.convention}"])

    def to_json(self) -> str:
        """One JSON object. What is not finite (the PSNR of equal images) is null."""
        metrics = {
            name: value if math.isfinite(value) else None
            for name, value in asdict(self.metrics).items()
        }
        content = {
            "prediction": str(self.prediction),
            "reference": str(self.reference),
            **metrics,
            "slice_axis": "ijk"[self.slice_axis],
            "reference_voxels_left_out": self.left_out,
            "convention": self.convention,
        }
        return json.dumps(content, ensure_ascii=False, indent=2)


def evaluate(
    prediction: "Image", reference: "Image", *, axes_order: str | None = None, kind: str = "auto"
) -> Comparison:
    """Measure a scan against the truth, slice by slice along the reference's slice axis.

    Both must lie on the same voxel grid: same shape and, if both have one, the same affine. The
    reference may be up to 7 voxels longer at the end of an axis: `iconet degrade` drops these if
    the scale does not divide a size. They are left out, and the result says so. A picture is one
    slice. The volumes of a 4-D series are evaluated as one long stack of slices.

    Args:
        prediction: A scan as `iconet.upscale` takes it, except raw k-space.
        reference: The truth.
        axes_order: Axes of both arrays or tensors, see `iconet.upscale`.
        kind: What both are, see `iconet.upscale`.

    Raises:
        InputError: A scan that cannot be read or holds NaN, a batch, labels or a phase, grids that
            differ (it says how), or a reference without a value above zero or with slices under 7
            voxels.

    Warns:
        UserWarning: Something was left out, converted or assumed when a scan was read.
    """
    first, second = (_scan(given, axes_order) for given in (prediction, reference))
    for scan in (first, second):
        for line in scan.remarks:
            warnings.warn(line, UserWarning, stacklevel=2)
    return _compare(first, second, (name_of(prediction), name_of(reference)), kind)


def compare_files(
    prediction: str | Path, reference: str | Path, *, kind: str = "auto"
) -> Comparison:
    """`evaluate` for files; what was left out or converted goes to standard error."""
    first, second = (_scan(path, None) for path in (prediction, reference))
    for scan in (first, second):
        for line in scan.remarks:
            print(line, file=sys.stderr)
    return _compare(first, second, (Path(prediction), Path(reference)), kind)


def _compare(
    first: Scan, second: Scan, names: tuple[Path | str, Path | str], kind: str
) -> Comparison:
    for scan in (first, second):
        refuse_nan(scan)
        refuse_unless_image(kind_of(scan, kind), scan.name, "measured by PSNR and SSIM")
    second, left_out = _covered(first, second)
    _check_same_grid(first, second)
    axis = slice_axis_of(second)
    try:
        metrics = measure(_stack(first.array, axis), _stack(second.array, axis))
    except ValueError as error:
        raise InputError(f"{second.name}: {error}; choose another reference") from error
    return Comparison(*names, metrics, axis, left_out)


def _scan(given: "Image", axes_order: str | None) -> Scan:
    order = None if is_path(given) else axes_order
    scans = take(given, axes_order=order).scans
    if len(scans) != 1:
        raise InputError("axes_order: images that are taken alone are evaluated one by one")
    return scans[0]


def _covered(prediction: Scan, reference: Scan) -> tuple[Scan, tuple[int, ...]]:
    """The part of the reference that the prediction covers, if that is all but the last voxels."""
    shape, whole = prediction.array.shape, reference.array.shape
    none = (0,) * len(whole[:3])
    if len(shape) != len(whole) or shape[3:] != whole[3:]:
        return reference, none
    left_out = tuple(long - short for short, long in zip(shape[:3], whole[:3], strict=True))
    if not all(0 <= voxels < LARGEST_SCALE for voxels in left_out):
        return reference, none
    covered = reference.array[tuple(slice(size) for size in shape[:3])]
    return replace(reference, array=covered), left_out


def _check_same_grid(prediction: Scan, reference: Scan) -> None:
    if prediction.array.shape != reference.array.shape:
        sizes = (" x ".join(map(str, scan.array.shape)) for scan in (prediction, reference))
        raise InputError(
            f"{prediction.name} has {next(sizes)} voxels but {reference.name} has {next(sizes)}: "
            "compare scans on the same grid"
        )
    if prediction.affine is None or reference.affine is None:
        return
    worst = farthest_apart(prediction.affine, reference.affine, reference.array.shape)
    if worst > SAME_PLACE_MM:
        raise InputError(
            f"{prediction.name} and {reference.name} place the same voxel up to {worst:.3g} mm "
            "apart (their affines differ): compare scans on the same grid"
        )


def _stack(array: np.ndarray, axis: int) -> np.ndarray:
    if array.ndim == 2:
        return array[None]
    slices_first = np.moveaxis(array, axis, 0)
    if array.ndim == 4:
        slices_first = np.moveaxis(slices_first, -1, 0).reshape(-1, *slices_first.shape[1:3])
    return slices_first
