"""The HDF5 files of fastMRI: raw k-space, and the reconstruction that counts as the truth.

Names, axes and the header's place are those of the data set's description (Zbontar et al., arXiv
1811.08839): ``kspace`` is (slices, coils, readout, phase) or, for a single coil, (slices, readout,
phase); the readout is oversampled two times and the reconstruction is the middle of the image.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images.scan import Scan

if TYPE_CHECKING:
    import h5py

RECONSTRUCTIONS = ("reconstruction_rss", "reconstruction_esc")
NAMESPACE = {"m": "http://www.ismrm.org/ISMRMRD"}


class Space(NamedTuple):
    """A matrix and what it covers, as (readout x, phase y, slice z).

    Attributes:
        matrix: Voxels along each axis.
        field_of_view: Millimetres along each axis.
    """

    matrix: tuple[int, int, int]
    field_of_view: tuple[float, float, float]


class Header(NamedTuple):
    """What the ISMRMRD header says of the acquisition and of the image made from it."""

    encoded: Space
    recon: Space


class FastMRI(NamedTuple):
    """One file.

    Attributes:
        kspace: (S, C, H, W) complex64, H the readout, centred; C is 1 for a single coil; 0 where
            not measured.
        header: Matrix sizes and fields of view.
        target: (S, h, w) float32, the ground truth in the matrix of ``header.recon``, either stored
            or made from k-space; None where k-space is undersampled.
        mask: (W,) bool, True where a line was measured; None where all were.
        attributes: Of the file: ``acquisition``, ``patient_id``, ``max``, ``norm``, ...
    """

    kspace: NDArray[np.complex64]
    header: Header
    target: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None
    attributes: dict[str, Any]


def read_fastmri(path: Path) -> FastMRI:
    """Read a whole file, raw data included (a multi-coil volume is about a gigabyte).

    Raises:
        InputError: If the file is damaged or is not of fastMRI.
    """
    with _opened(path) as file:
        header, kspace = _header(path, file), _kspace(path, file)
        mask = np.asarray(file["mask"][()], dtype=bool).ravel() if "mask" in file else None
        return FastMRI(
            kspace=_coils(kspace[()]),
            header=header,
            target=_target(path, file, kspace, header),
            mask=mask,
            attributes=_attributes(file),
        )


def fastmri_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a file alone.

    Raises:
        InputError: If it cannot be opened.
    """
    with _opened(path) as file:
        return _attributes(file)


def fastmri_scan(path: Path) -> Scan:
    """The ground truth as a scan whose first axis goes from slice to slice; no raw data is kept.

    Raises:
        InputError: If the file is damaged, is not of fastMRI, or holds undersampled data alone.
    """
    with _opened(path) as file:
        header = _header(path, file)
        target = _target(path, file, _kspace(path, file), header)
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


def reconstruct(kspace: NDArray[np.complex64], header: Header) -> NDArray[np.float32]:
    """Root of the sum of squares over coils, cut to the middle that the reconstruction shows.

    Args:
        kspace: (..., C, H, W) fully sampled.
        header: Of the same file.

    Returns:
        (..., h, w), h and w the reconstruction's matrix, or H and W where these are smaller.
    """
    import torch

    from iconet.physics.kspace import ifft2c

    images = ifft2c(torch.from_numpy(kspace)).abs().square().sum(dim=-3).sqrt().numpy()
    rows, columns = (
        _middle(length, wanted)
        for length, wanted in zip(images.shape[-2:], header.recon.matrix, strict=False)
    )
    return np.ascontiguousarray(images[..., rows, columns])


def _middle(length: int, wanted: int) -> slice:
    start = max(0, (length - wanted) // 2)
    return slice(start, start + wanted)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}); download it again") from None


def _attributes(file: h5py.File) -> dict[str, Any]:
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in file.attrs.items()
    }


def _kspace(path: Path, file: h5py.File) -> h5py.Dataset:
    kspace = _dataset(path, file, "kspace")
    if kspace.ndim not in (3, 4) or kspace.dtype.kind != "c" or min(kspace.shape) < 1:
        raise InputError(
            f"{path}: its kspace ({kspace.dtype}, {kspace.ndim} axes) is not that of fastMRI: "
            "complex, (slices, coils, readout, phase) or without coils"
        )
    return kspace


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: has no data set '{name}'; is it a file of fastMRI?")
    return found


def _coils(kspace: NDArray[Any]) -> NDArray[np.complex64]:
    """With an axis for coils, single ones too."""
    kspace = kspace.astype(np.complex64, copy=False)
    return kspace if kspace.ndim == 4 else kspace[:, None]


def _target(
    path: Path, file: h5py.File, kspace: h5py.Dataset, header: Header
) -> NDArray[np.float32] | None:
    for name in RECONSTRUCTIONS:
        if name in file:
            stored = _dataset(path, file, name)
            if stored.ndim != 3 or stored.dtype.kind not in "fiu" or min(stored.shape) < 1:
                raise InputError(
                    f"{path}: its {name} is not a stack of slices; download the file again"
                )
            return np.asarray(stored[()], dtype=np.float32)
    if "mask" in file:
        return None
    # Slice by slice: the coil images of a whole volume are gigabytes.
    return np.concatenate(
        [reconstruct(_coils(kspace[i : i + 1]), header) for i in range(len(kspace))]
    )


def _header(path: Path, file: h5py.File) -> Header:
    content = _dataset(path, file, "ismrmrd_header")[()]
    try:
        root = ElementTree.fromstring(content)
        spaces = [_space(root, name) for name in ("encodedSpace", "reconSpace")]
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: its ismrmrd_header is not that of ISMRMRD ({reason}); download it again"
        ) from None
    return Header(*spaces)


def _space(root: ElementTree.Element, name: str) -> Space:
    def number(part: str, axis: str) -> float:
        found = root.findtext(f"m:encoding/m:{name}/m:{part}/m:{axis}", namespaces=NAMESPACE)
        if found is None:
            raise ValueError(f"no {name}/{part}/{axis}")
        value = float(found)
        if not 0 < value < 1e6:
            raise ValueError(f"{name}/{part}/{axis} is {found}")
        return value

    x, y, z = (int(number("matrixSize", axis)) for axis in "xyz")
    across, along, through = (number("fieldOfView_mm", axis) for axis in "xyz")
    return Space((x, y, z), (across, along, through))
