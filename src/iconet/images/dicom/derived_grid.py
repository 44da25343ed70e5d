"""Where the slices of a derived series lie, relative to those of the series it is made from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.geometry import lps_to_ras
from iconet.images.scan import Scan

if TYPE_CHECKING:
    from pydicom import Dataset

# Rows and columns that meet at another angle (as a cosine) are no DICOM image; scanners round the
# cosines to six digits.
RIGHT_ANGLE = 1e-4
# Slices closer than this, in source steps, are the same place.
SAME_PLACE = 1e-2


@dataclass(frozen=True)
class DerivedGrid:
    """Where the slices are, in DICOM's LPS+ millimetres, and the source slices around them.

    Attributes:
        affine: (4, 4) from voxel indices to LPS+.
        normal: Unit vector from slice to slice.
        at: (K,) positions of the slices along it.
        sources: (S,) positions of the source's slices along it.
        source_step: From one source slice to the next; 0 for a single one.
    """

    affine: np.ndarray
    normal: np.ndarray
    at: np.ndarray
    sources: np.ndarray
    source_step: float

    @classmethod
    def of(
        cls, scan: Scan, sources: "Sequence[tuple[Dataset, int]]", folder: Path
    ) -> "DerivedGrid":
        """The grid of the scan that is to be written, among the headers of its sources.

        Raises:
            InputError: Rows, columns and slices that are no grid of a DICOM series.
        """
        affine = lps_to_ras(np.asarray(scan.affine))
        rows, columns, slices = (affine[:3, axis] for axis in range(3))
        across = np.cross(rows, columns)
        lengths = [float(np.linalg.norm(v)) for v in (rows, columns, across, slices)]
        if not np.isfinite(affine).all() or not all(lengths) or not slices @ across:
            raise InputError(f"{folder}: {scan.name} has a singular affine; repair its geometry")
        if abs(rows @ columns) > RIGHT_ANGLE * lengths[0] * lengths[1]:
            raise InputError(
                f"{folder}: the rows and columns of {scan.name} are not at right angles, which"
                " DICOM needs; write .nii.gz"
            )
        normal = across / lengths[2] * math.copysign(1.0, slices @ across)
        at = normal @ affine[:3, 3] + np.arange(scan.array.shape[2]) * (normal @ slices)
        places = np.array([[float(x) for x in s.ImagePositionPatient] for s, _ in sources])
        places = places @ normal
        gaps = np.diff(np.sort(places))
        gaps = gaps[gaps > 0]
        return cls(affine, normal, at, places, float(np.median(gaps)) if gaps.size else 0.0)

    @property
    def step(self) -> float:
        """Millimetres from slice to slice, at right angles to them."""
        return float(self.normal @ self.affine[:3, 2])

    @property
    def same_slices(self) -> bool:
        """Whether the slices are as far apart as the source's."""
        if not self.source_step:
            return self.at.size == 1
        return abs(self.step / self.source_step - 1) < SAME_PLACE

    def nearest(self, k: int) -> int:
        """The source slice whose header slice `k` takes."""
        return int(np.argmin(np.abs(self.sources - self.at[k])))

    def around(self, k: int) -> list[int]:
        """The source slices that slice `k` lies on or between, the nearest first."""
        distances = np.abs(self.sources - self.at[k])
        near = np.flatnonzero(distances < (1 - SAME_PLACE) * self.source_step)
        on = distances.min() < SAME_PLACE * self.source_step
        return [self.nearest(k)] if on or not near.size else list(near[np.argsort(distances[near])])
