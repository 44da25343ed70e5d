"""From a scan to the slices that networks learn from and methods are measured against."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iconet.data.fastmri import fastmri_scan
from iconet.errors import InputError
from iconet.images import read, refuse_nan
from iconet.images.geometry import choose_slice_axis
from iconet.images.kind import kind_of, refuse_unless_image
from iconet.images.scan import Scan
from iconet.intensity import dark_level

MULTIPLE = 8  # every scale divides it
NEVER_IN_KSPACE = ("CT", "PT", "PET")  # contrasts; a spectrum's end says nothing of their matrix


def read_truth(path: Path, plane: str, contrast: str = "") -> NDArray[np.float32]:
    """Slices ``(S, H, W)`` of a file of a data set; see `truth_stack`.

    Args:
        path: An image file, or an HDF5 file of fastMRI.
        plane: The plane in which it is sharp.
        contrast: CT and PET (``CT``, ``PT``, ``PET``) keep their matrix.

    Raises:
        InputError: If the file cannot be used.
    """
    if path.suffix.lower() == ".h5":
        scan = fastmri_scan(path)
    else:
        scan = read(path)
        refuse_unless_image(kind_of(scan), scan.name, "learned from")
    return truth_stack(scan, plane, kspace=contrast.upper() not in NEVER_IN_KSPACE)


def truth_stack(scan: Scan, plane: str, *, kspace: bool = True) -> NDArray[np.float32]:
    """Slices ``(S, H, W)`` of a scan at the resolution it was acquired with, as networks see them.

    Scanners enlarge images by zero-filling k-space. A crop of such a slice's k-space removes
    little, so it is first reduced to the matrix that was acquired.
    Then H and W are cropped evenly to multiples of 8, which every scale divides. The background of
    signed values (Hounsfield units, z-scores) is put at 0, where upscaling puts it as well.

    Args:
        scan: A volume with three axes.
        plane: The plane in which it is sharp: axial, coronal, sagittal, i, j, k or auto.
        kspace: Whether it was acquired in k-space, as MRI is. Otherwise its matrix is kept.

    Raises:
        InputError: If the scan has other axes, NaN, or slices smaller than 8 x 8.
    """
    import torch

    from iconet.data.acquired import acquired_matrix
    from iconet.physics.kspace import resize_kspace

    if scan.array.ndim != 3:
        raise InputError(f"{scan.name}: has {scan.array.ndim} axes; give a volume with 3")
    refuse_nan(scan)
    axis = choose_slice_axis(scan.array.shape, scan.spacing, plane, affine=scan.affine)
    stack = np.ascontiguousarray(np.moveaxis(scan.array, axis, 0), dtype=np.float32)
    if dark := dark_level(stack):
        # The little below it, such as what lies outside a CT's circle, must not come back bright
        # from a magnitude.
        stack = np.maximum(stack - np.float32(dark), 0)
    matrix = acquired_matrix(stack) if kspace else stack.shape[1:]
    if matrix != stack.shape[1:]:
        # The magnitude: reducing can leave small negative values beside sharp edges.
        stack = resize_kspace(torch.from_numpy(stack), matrix).abs().numpy()
    if min(stack.shape[1:]) < MULTIPLE:
        raise InputError(f"{scan.name}: its slices are smaller than 8 x 8; leave it out")
    rows, columns = (_centred(length) for length in stack.shape[1:])
    return np.ascontiguousarray(stack[:, rows, columns])


def _centred(length: int) -> slice:
    kept = length - length % MULTIPLE
    start = (length - kept) // 2
    return slice(start, start + kept)
