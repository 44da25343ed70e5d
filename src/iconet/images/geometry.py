"""Where voxels are in the world, before and after the grid changes.

A factor f divides every voxel into f: the field of view stays, so the first new voxel is centred
(1/f - 1)/2 old voxels from the first old one. (`nibabel.affines.rescale_affine` keeps the centre of
the *voxel grid* by whole voxels and is half a voxel off.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.scan import Scan
from iconet.images.units import in_unit_of

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

# Unit vectors along the voxel axes span a volume of 1 when orthogonal and 0 when two coincide;
# headers store float32, so anything below this is rounding.
SMALLEST_VOLUME = 1e-5
# A through-plane step this much larger than the in-plane ones marks slices acquired one by one.
THICK = 1.5
# Steps that differ by less than this may be the sides of one in-plane pixel.
SQUARE = 1.08
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
COMMENT = 6

SAME_PLACE_MM = 1e-3
"""Headers store float32 and quaternions, which round; a misplaced voxel is a hundred times this."""


def lps_to_ras(affine: np.ndarray) -> np.ndarray:
    """Turns positions in LPS+ (x to the left, y to the back), of DICOM and ITK, into RAS+, or back.

    Args:
        affine: (4, 4) to millimetres.

    Returns:
        (4, 4) float64. Not a product of matrices, in which one Inf becomes many NaN.
    """
    return np.array([[-1.0], [-1.0], [1.0], [1.0]]) * affine + 0.0  # + 0.0: no -0.0


def scaled_affine(affine: np.ndarray, factors: Sequence[float]) -> np.ndarray:
    """The affine of the same field of view on a grid with `factors` times as many voxels.

    Args:
        affine: (4, 4) from voxel indices to millimetres; any invertible one, sheared too.
        factors: New over old number of voxels along the three voxel axes (below 1: coarser).

    Returns:
        (4, 4) float64.
    """
    steps = 1.0 / np.asarray(factors, dtype=np.float64)
    transform = np.diag([*steps, 1.0])
    transform[:3, 3] = (steps - 1.0) / 2.0
    return np.asarray(affine, dtype=np.float64) @ transform


def respaced_affine(
    affine: np.ndarray, shape: Sequence[int], new_shape: Sequence[int], steps: Sequence[float]
) -> np.ndarray:
    """The affine of a grid of any spacing with the same centre of the field of view.

    Where the new voxels fill the field of view exactly this is `scaled_affine`; otherwise its outer
    edges move by the same on both sides.

    Args:
        affine: (4, 4) from voxel indices to millimetres; any invertible one, sheared too.
        shape: Voxels along the three axes.
        new_shape: Of the new grid.
        steps: New over old spacing along the three axes.

    Returns:
        (4, 4) float64.
    """
    transform = np.diag([*np.asarray(steps, dtype=np.float64), 1.0])
    old, new = np.asarray(shape), np.asarray(new_shape)
    transform[:3, 3] = (old - 1) / 2 - (new - 1) / 2 * np.asarray(steps)
    return np.asarray(affine, dtype=np.float64) @ transform


def check_affine(affine: np.ndarray, name: str) -> None:
    """Refuses an affine that maps voxels to nowhere, or several to one place.

    Raises:
        InputError: Not finite, a zero spacing, or singular. Shear is fine.
    """
    steps = np.asarray(affine, dtype=np.float64)[:3, :3]
    if not np.isfinite(affine).all():
        raise InputError(f"{name}: the affine holds NaN or Inf; repair its sform and qform")
    lengths = np.linalg.norm(steps, axis=0)
    if not lengths.all() or abs(np.linalg.det(steps / lengths)) < SMALLEST_VOLUME:
        raise InputError(
            f"{name}: the affine is singular (its voxels have no volume); repair the header's sform"
            " and qform"
        )


def farthest_apart(affine: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Millimetres by which two affines at most place a voxel of a grid differently."""
    # The far corner moves most, so the corners bound how far any voxel is off.
    extent = [max(size - 1, 0) for size in shape[:3]]
    corners = np.array(np.meshgrid(*([0, size] for size in extent))).reshape(len(extent), -1)
    corners = np.vstack([corners, np.zeros((3 - len(extent), corners.shape[1]))])
    shift = (affine - other) @ np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.linalg.norm(shift[:3], axis=0).max())


def choose_slice_axis(
    shape: Sequence[int],
    spacing: Sequence[float],
    plane: str = "auto",
    *,
    affine: np.ndarray | None = None,
) -> int:
    """The voxel axis across which the scan is cut into the slices that are upscaled.

    Args:
        shape: Voxels along each axis; the first three count.
        spacing: Millimetres along each of these axes.
        plane: `auto` takes an axis of one voxel, else the axis whose spacing is more than 1.5 times
            both others' (thick slices), else the one whose spacing differs from both others' where
            these are alike within 8 % (the sides of a pixel), else the one with the fewest voxels
            (the last of equals). `axial`, `coronal`, `sagittal` name the plane of the slices
            (oblique: the nearest); `i`, `j`, `k` name the voxel axis across them.
        affine: Needed for the three anatomical names.

    Returns:
        0, 1 or 2; 2, the missing third axis, for a 2-D image.

    Raises:
        InputError: An unknown plane, or an anatomical one without an affine.
    """
    if plane not in ("auto", *PLANES, "i", "j", "k"):
        raise InputError(
            f"plane {plane}: unknown; choose auto, axial, coronal, sagittal, i, j or k"
        )
    if len(shape) == 2:
        return 2
    if plane in ("i", "j", "k"):
        return "ijk".index(plane)
    if plane in PLANES:
        if affine is None:
            raise InputError(
                f"plane {plane}: an image without an affine has no anatomical planes; use i, j or k"
            )
        from nibabel.orientations import io_orientation

        return int(np.flatnonzero(io_orientation(affine)[:, 0] == PLANES[plane])[0])
    sizes, steps = list(shape[:3]), list(spacing[:3])
    fewest = max(range(3), key=lambda axis: (-sizes[axis], axis))
    thickest = max(range(3), key=lambda axis: steps[axis])
    thinnest = min(range(3), key=lambda axis: steps[axis])
    low, middle, high = sorted(steps)
    if sizes[fewest] == 1:
        return fewest
    if high > THICK * middle or (high > SQUARE * middle and middle < SQUARE * low):
        return thickest
    return thinnest if middle > SQUARE * low and high < SQUARE * middle else fewest


def slice_axis_of(scan: Scan, plane: str = "auto") -> int:
    """`choose_slice_axis` for a scan: the images of a DICOM series are its slices."""
    if plane == "auto" and scan.dicom:
        return 2
    return choose_slice_axis(scan.array.shape, scan.spacing, plane, affine=scan.affine)


def check_upscalable(scan: Scan, slice_axis: int) -> None:
    """Refuses a scan whose slices are a line or a point.

    Raises:
        InputError: One voxel wide along an axis of the slice plane.
    """
    for axis, size in enumerate(scan.array.shape[:3]):
        if axis != slice_axis and size < 2:
            raise InputError(
                f"{scan.name}: 1 voxel wide along {'ijk'[axis]}, which lies in the slice plane;"
                " choose another --plane or give a whole slice"
            )


def updated_header(
    header: "Nifti1Header", affine: np.ndarray, shape: Sequence[int]
) -> "Nifti1Header":
    """The header of an image derived from another one, on another grid.

    qform and sform may differ and keep their codes: what moved one grid to the other, in voxels,
    moves both. The qform cannot hold shear; the sform holds it exactly. Units, repetition time,
    description, intent, display window (cal_min, cal_max) and comments stay. Slice timing goes if
    the number of slices changed. Extensions other than comments go: AFNI's, dcmstack's and the like
    describe the old grid, and AFNI would believe them.

    Args:
        header: Of the original image, in any unit of length, which stays.
        affine: (4, 4) of the new one, to millimetres.
        shape: Of the new one.

    Returns:
        A new header; data type and scaling are those of the original.

    Raises:
        InputError: A size above 32767, which NIfTI-1 cannot hold.
        ValueError: The new axes are not those of the old grid, in the same order and direction.
    """
    from nibabel.spatialimages import HeaderDataError

    old_sizes = header.get_data_shape()
    in_its_unit = in_unit_of(header, np.asarray(affine, dtype=np.float64))
    to_old = np.linalg.inv(header.get_best_affine()) @ in_its_unit
    steps = np.diag(to_old)[:3]
    # Headers hold single precision: an error of a wide voxel is a larger share of a narrow one.
    if (steps <= 0).any() or not np.allclose(to_old[:3, :3], np.diag(steps), atol=1e-5):
        raise ValueError("the new grid must have the axes of the old one")

    new = header.copy()
    new.extensions[:] = [e for e in header.extensions if e.get_code() == COMMENT]
    try:
        new.set_data_shape(tuple(int(n) for n in shape))
    except HeaderDataError as error:
        raise InputError(
            f"{tuple(shape)} voxels: too many for a NIfTI-1 header; convert the scan to NIfTI-2"
        ) from error
    # The quaternion stays bit by bit: near half turns float32 rounding would cost up to 0.1 mm.
    new["pixdim"][1:4] = header["pixdim"][1:4] * steps
    try:
        corner = header.get_qform() @ to_old[:, 3]
        new["qoffset_x"], new["qoffset_y"], new["qoffset_z"] = corner[:3]
    except ValueError:  # no quaternion at all, which a reader of the sform never noticed
        new["qform_code"] = 0
    if header["sform_code"] > 0:
        new.set_sform(header.get_sform() @ to_old, code=int(header["sform_code"]))

    axis = header.get_dim_info()[2]
    axis = 2 if axis is None else axis
    if axis < len(shape) and old_sizes[axis : axis + 1] != (int(shape[axis]),):
        for timing in ("slice_code", "slice_start", "slice_end", "slice_duration"):
            new[timing] = 0
    return new
