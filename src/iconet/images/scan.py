"""An image in memory, with all that is needed to write another one like it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from pydicom import Dataset


@dataclass(frozen=True)
class Scan:
    """Voxel values, their place in the world, and how the file stored them.

    Attributes:
        array: Real-world values as float32 (`slope` and `inter` already applied; NaN is no
            measurement, Inf never there), in the file's own axis order: (i, j), (i, j, k) or
            (i, j, k, t); (rows, columns) for a picture. float64 for integers of more than 24 bits.
        affine: (4, 4) float64 from voxel indices to RAS+ millimetres; None for pictures and arrays.
        header: The NIfTI header; None for pictures and arrays. (A NIfTI-2 header is a subclass.)
            Formats with a text header get a NIfTI-2 one, whose affine has double precision.
        path: The file it came from; None if it never was one.
        dtype: The type of the numbers on disk (`array` is float32 whatever this is).
        slope: The value of one unit of the stored integers.
        inter: The value of a stored 0.
        data_path: The second file it came from, where its header was in a file of its own.
        keywords: What a NRRD header said about diffusion gradients, or segments.
        padding: The range of the values that a DICOM header calls padding; None where it names
            none.
        density: Pixels along a row and down a column, of a picture that says so, in one "inch" or
            in a unit that it does not name ("").
        remarks: What was left out, converted or taken for granted when it was read: lines for the
            user, which whoever reads for a user has to say.
        dicom: The headers of the DICOM images it came from, without pixel data: one a slice, or
            the one of an enhanced multi-frame image. What a derived series is made from.
        frames: Which frames of that one image, from 0, it came from; None of other images.
        mark: What a file of it is to say of iconet, which made it, see `iconet.images.own`. A scan
            that was read from a file leaves that to the file.
        bounds: Of a result, where they were asked for: arrays like `array`, below and above which
            the truth is unlikely to lie.
    """

    array: np.ndarray
    affine: np.ndarray | None = None
    header: "Nifti1Header | None" = None
    path: Path | None = None
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    slope: float = 1.0
    inter: float = 0.0
    data_path: Path | None = None
    keywords: Mapping[str, str] = field(default_factory=dict)
    padding: tuple[float, float] | None = None
    density: tuple[float, float, str] | None = None
    remarks: tuple[str, ...] = ()
    dicom: "tuple[Dataset, ...]" = ()
    frames: tuple[int, ...] | None = None
    mark: str | None = None
    bounds: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def first_volume(self) -> np.ndarray:
        """Of a series; else the whole array."""
        return self.array[..., 0] if self.array.ndim == 4 else self.array

    @property
    def stored_integers(self) -> bool:
        """Whether it lies in a file as integers of 16 bits or less that are its values."""
        plain = self.slope == 1 and self.inter == 0 and not self.dicom and self.path is not None
        return plain and self.dtype.kind in "iu" and self.dtype.itemsize <= 2

    @property
    def name(self) -> str:
        """What error messages call this scan."""
        return str(self.path) if self.path is not None else "the given image"

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres from one voxel to the next along each spatial axis; 1 without an affine."""
        axes = min(self.array.ndim, 3)
        if self.affine is None:
            return (1.0,) * axes
        return tuple(float(mm) for mm in np.linalg.norm(self.affine[:3, :axes], axis=0))

    @property
    def size(self) -> str:
        """Shape and spacing, such as "256 x 256 x 150 voxels of 1 x 1 x 1.2 mm"."""
        shape = " x ".join(map(str, self.array.shape))
        if self.affine is None:
            return f"{shape} pixels"
        return f"{shape} voxels of {' x '.join(f'{mm:.4g}' for mm in self.spacing)} mm"
