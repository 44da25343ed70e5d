"""Slices prepared once, kept on disk and mapped into memory.

Published data sets are larger than memory (three contrasts of IXI: 1700 scans of 17 MB each), and
preparing them, over half a second a scan, is not to be repeated by a run that goes on.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.files import complete_file

VERSION = 2  # another one makes everything anew, after a change of how scans are prepared


def prepared_file(folder: Path, path: Path, *how: str) -> Path:
    """Where the slices of a scan are kept: another place when the scan or ``how`` changes."""
    try:
        state = path.stat()
        key = (path.absolute(), state.st_size, state.st_mtime_ns, *how)
    except OSError:  # to be named by who reads it
        key = (path.absolute(), *how)
    return folder / f"{hashlib.sha256(repr((VERSION, *key)).encode()).hexdigest()[:32]}.npy"


def keep(slices: Tensor, file: Path) -> None:
    """Write slices so that the file is complete or not there.

    Raises:
        InputError: If the folder cannot be written to, or the disk is full.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with complete_file(file) as opened:
            np.save(opened, slices.numpy())
    except OSError as error:
        raise InputError(
            f"{file.parent}: cannot be written ({error.strerror}); make room for the prepared "
            "slices, or choose another output folder"
        ) from None


def mapped(file: Path) -> Tensor:
    """Slices that `keep` wrote; what is not looked at takes no memory.

    Raises:
        InputError: If the file was damaged since.
    """
    try:
        # Copy on write: torch wants memory that could be written to.
        return torch.from_numpy(np.load(file, mmap_mode="c"))
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: damaged ({error}); delete it") from None
