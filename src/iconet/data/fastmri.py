"""The HDF5 files of fastMRI: the reconstruction that counts as the truth.

Names, axes and the header's place are those of the data set's description (Zbontar et al., arXiv
1811.08839): ``kspace`` is (slices, coils, readout, phase) or, for a single coil, (slices, readout,
phase); the readout is oversampled two times and the reconstruction is the middle of the image.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images.kspace.hdf5 import dataset, opened
from iconet.images.kspace.mrd_header import Header
from iconet.images.kspace.raw_fastmri import fastmri_header, fastmri_kspace, with_coils
from iconet.images.scan import Scan

if TYPE_CHECKING:
    import h5py

RECONSTRUCTIONS = ("reconstruction_rss", "reconstruction_esc")


def fastmri_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a file alone.

    Raises:
        InputError: If it cannot be opened.
    """
    with opened(path) as file:
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in file.attrs.items()
        }


def fastmri_scan(path: Path) -> Scan:
    """The ground truth as a scan whose first axis goes from slice to slice; no raw data is kept.

    Raises:
        InputError: If the file is damaged, is not of fastMRI, or holds undersampled data alone.
    """
    with opened(path) as file:
        header = fastmri_header(path, file)
        target = _target(path, file, fastmri_kspace(path, file), header)
    if target is None:
        raise InputError(
            f"{path}: undersampled (it has a mask) and without a reconstruction; leave it out"
        )
    if not np.isfinite(target).all():
        raise InputError(f"{path}: its reconstruction holds NaN or Inf; download it again")
    x, y, z = (
        length / size
        for length, size in zip(header.recon.field_of_view, header.recon.matrix, strict=True)
    )
    return Scan(target, affine=np.diag([z, x, y, 1.0]), path=path)


def root_sum_of_squares(kspace: NDArray[np.complex64], header: Header) -> NDArray[np.float32]:
    """Root of the sum of squares over coils, cut to the middle that the reconstruction shows.

    Args:
        kspace: (..., C, H, W) fully sampled.
        header: Of the same file.

    Returns:
        (..., h, w), h and w the reconstruction's matrix, or H and W where these are smaller.
    """
    import torch

    from iconet.physics.fourier import ifft2c

    images = ifft2c(torch.from_numpy(kspace)).abs().square().sum(dim=-3).sqrt().numpy()
    rows, columns = (
        _middle(length, wanted)
        for length, wanted in zip(images.shape[-2:], header.recon.matrix, strict=False)
    )
    return np.ascontiguousarray(images[..., rows, columns])


def _middle(length: int, wanted: int) -> slice:
    start = max(0, (length - wanted) // 2)
    return slice(start, start + wanted)


def _target(
    path: Path, file: "h5py.File", kspace: "h5py.Dataset", header: Header
) -> NDArray[np.float32] | None:
    for name in RECONSTRUCTIONS:
        if name in file:
            stored = dataset(path, file, name)
            if stored.ndim != 3 or stored.dtype.kind not in "fiu" or min(stored.shape) < 1:
                raise InputError(
                    f"{path}: its {name} is not a stack of slices; download the file again"
                )
            return np.asarray(stored[()], dtype=np.float32)
    if "mask" in file:
        return None
    # Slice by slice: the coil images of a whole volume are gigabytes.
    return np.concatenate(
        [root_sum_of_squares(with_coils(kspace[i : i + 1]), header) for i in range(len(kspace))]
    )
