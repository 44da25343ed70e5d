"""`iconet evaluate`: one scan against another, number by number under the stated convention."""

import json
import math
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from iconet.errors import InputError
from iconet.evaluation.metrics import CONVENTION, Metrics, evaluate
from iconet.images.geometry import farthest_apart, slice_axis_of
from iconet.images.kind import kind_of, refuse_unless_image
from iconet.images.reading import read, refuse_nan
from iconet.images.scan import Scan

AFFINE_TOLERANCE_MM = 1e-3
"""Headers store float32 and quaternions, which round; a misplaced voxel is a hundred times this."""

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
    """Metrics of a prediction file against a reference file. ``str()`` is meant for people.

    Attributes:
        left_out: Voxels at the end of each axis of the reference that the prediction lacks.
    """

    prediction: Path
    reference: Path
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


def compare_files(
    prediction: str | Path, reference: str | Path, *, kind: str = "auto"
) -> Comparison:
    """Measure a scan file against the truth, slice by slice along the reference's slice axis.

    Both must lie on the same voxel grid: same shape and, where both have one, the same affine. The
    reference may be up to 7 voxels longer at the end of an axis, which `iconet degrade` drops where
    the scale does not divide a size; they are left out, and the result says so.
    Pictures are one slice; the volumes of a 4-D series are evaluated as one long stack of slices.

    Raises:
        InputError: A file that cannot be read or holds NaN, labels or a phase, grids that differ
            (it says how), or a reference without a value above zero or with slices under 7 voxels.
    """
    first, second = read(prediction), read(reference)
    for scan in (first, second):
        refuse_nan(scan)
        refuse_unless_image(kind_of(scan, kind), scan.name, "measured by PSNR and SSIM")
        for line in scan.remarks:
            print(line, file=sys.stderr)
    second, left_out = _covered(first, second)
    _check_same_grid(first, second)
    axis = slice_axis_of(second)
    try:
        metrics = evaluate(_stack(first.array, axis), _stack(second.array, axis))
    except ValueError as error:
        raise InputError(f"{second.name}: {error}; choose another reference") from error
    return Comparison(Path(prediction), Path(reference), metrics, axis, left_out)


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
    if worst > AFFINE_TOLERANCE_MM:
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
