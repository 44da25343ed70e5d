"""Files of raw k-space: which they are, and how to read them."""

import os
from pathlib import Path

from iconet.errors import InputError
from iconet.images.kspace.hdf5 import opened
from iconet.images.kspace.raw_data import RawData
from iconet.images.kspace.raw_fastmri import read_raw_fastmri
from iconet.images.kspace.raw_mrd import mrd_group, read_raw_mrd

SUFFIXES = (".h5", ".hdf5", ".mrd")


def is_kspace_file(path: str | os.PathLike[str]) -> bool:
    """Whether the name is one of a file of raw k-space."""
    return Path(path).suffix.lower() in SUFFIXES


def read_kspace(path: str | os.PathLike[str]) -> RawData:
    """Reads the headers of a file of raw k-space; the samples wait until they are asked for.

    Args:
        path: fastMRI's HDF5 (single-coil or multi-coil) or ISMRMRD.

    Raises:
        InputError: Whatever is wrong with the file, in one line that names it and the remedy.
    """
    path = Path(path)
    with opened(path) as file:
        if "kspace" in file:
            return read_raw_fastmri(path, file)
        group = mrd_group(file)
        if group is None:
            raise InputError(
                f"{path}: holds no raw data; give a file of fastMRI (a data set 'kspace') or"
                " ISMRMRD (a group with 'xml' and 'data')"
            )
        return read_raw_mrd(path, file, group)
