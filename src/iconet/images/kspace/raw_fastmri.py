"""Raw data in the HDF5 files of fastMRI.

Names, axes and the header's place are those of the data set's description (Zbontar et al., arXiv
1811.08839): ``kspace`` is (slices, coils, readout, phase) or, for a single coil, (slices, readout,
phase), already placed in the encoded matrix.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images.kspace.hdf5 import dataset, opened
from iconet.images.kspace.mrd_header import Header, parse_header
from iconet.images.kspace.raw_data import RawData, default_affine, pixel_sizes, shown_part

if TYPE_CHECKING:
    import h5py


def read_raw_fastmri(path: Path, file: "h5py.File") -> RawData:
    """What the file holds; slices are read one by one.

    fastMRI's files do not say where the slices were, and not how far apart: their thickness stands
    for that. The data set's `mask`, where there is one, decides together with the samples which
    lines were measured: lines outside of it are put to 0.

    Raises:
        InputError: If the file is damaged or is not of fastMRI.
    """
    header, kspace = fastmri_header(path, file), fastmri_kspace(path, file)
    count, *coils, height, width = kspace.shape
    mask = fastmri_mask(path, file, width)

    def load(index: int) -> NDArray[np.complex64]:
        with opened(path) as again:
            values = with_coils(fastmri_kspace(path, again)[index : index + 1])[0]
        return values if mask is None else np.where(mask, values, np.complex64(0))

    matrix = (height, width)
    thickness = header.recon.field_of_view[2] / header.recon.matrix[2]
    return RawData(
        path=path,
        slices=count,
        coils=coils[0] if coils else 1,
        matrix=matrix,
        shown=shown_part(header, matrix),
        affine=default_affine((*pixel_sizes(header, matrix), thickness), (*matrix, count)),
        placed=False,
        load=load,
        remarks=_disagreement(path, header, matrix),
    )


def _disagreement(path: Path, header: Header, matrix: tuple[int, int]) -> tuple[str, ...]:
    """What is to be said of a header that describes other k-space than there is."""
    said = header.encoded.matrix[:2]
    if said == matrix:
        return ()
    sizes = "{} x {} and its k-space {} x {} (readout x phase)".format(*said, *matrix)
    rest = (
        ": the axes may be exchanged"
        if said == matrix[::-1]
        else ": pixels are taken as its field of view divided by the k-space"
    )
    return (f"{path}: its header says {sizes}{rest}",)


def fastmri_kspace(path: Path, file: "h5py.File") -> "h5py.Dataset":
    """The data set, unread.

    Raises:
        InputError: If there is none, or it is none of fastMRI's.
    """
    kspace = dataset(path, file, "kspace")
    if kspace.ndim not in (3, 4) or kspace.dtype.kind != "c" or min(kspace.shape) < 1:
        raise InputError(
            f"{path}: its kspace ({kspace.dtype}, {kspace.ndim} axes) is not that of fastMRI: "
            "complex, (slices, coils, readout, phase) or without coils"
        )
    return kspace


def fastmri_mask(path: Path, file: "h5py.File", width: int) -> NDArray[np.bool_] | None:
    """(W,), True where a line was measured; None where the file has no mask.

    Raises:
        InputError: If it does not fit k-space.
    """
    if "mask" not in file:
        return None
    mask = dataset(path, file, "mask")
    if mask.size != width:
        raise InputError(
            f"{path}: its mask has {mask.size} lines and its kspace {width}; download it again"
        )
    return np.asarray(mask[()], dtype=bool).ravel()


def with_coils(kspace: NDArray[Any]) -> NDArray[np.complex64]:
    """With an axis for coils, single ones too."""
    kspace = kspace.astype(np.complex64, copy=False)
    return kspace if kspace.ndim == 4 else kspace[:, None]


def fastmri_header(path: Path, file: "h5py.File") -> Header:
    """The header that every file holds.

    Raises:
        InputError: If it is missing or damaged.
    """
    content = dataset(path, file, "ismrmrd_header")[()]
    try:
        return parse_header(content)
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: its ismrmrd_header is not that of ISMRMRD ({reason}); download it again"
        ) from None
