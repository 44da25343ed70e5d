"""Opens HDF5 files and finds what is in them, or says in one line why not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iconet.errors import InputError
from iconet.images.content import why_no_content
from iconet.images.one_line import one_line_errors

if TYPE_CHECKING:
    import h5py

MARK = b"\x89HDF\r\n\x1a\n"


@contextlib.contextmanager
def opened(path: Path) -> "Iterator[h5py.File]":
    """The file, open for reading; whatever h5py finds wrong with it meanwhile ends in one line.

    Raises:
        InputError: If it is missing or damaged.
    """
    import h5py

    check_hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except MemoryError:
        raise InputError(
            f"{path}: does not fit into memory; use a larger machine, or get it again"
        ) from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, BlockingIOError) or "unable to lock file" in reason:
            raise InputError(
                f"{path}: in use by another program that writes to it; close that first, or set"
                " HDF5_USE_FILE_LOCKING=FALSE if the disk has no locks"
            ) from None
        if "h5clear" in reason:
            raise InputError(
                f"{path}: a program is writing to it, or did not finish; close that first, or run"
                " h5clear -s"
            ) from None
        if isinstance(error, PermissionError):
            raise InputError(
                f"{path}: no permission to read it; change its mode or owner"
            ) from None
        raise InputError(f"{path}: cannot be read ({reason}); download it again") from None


def check_hdf5(path: Path) -> None:
    """Refuses what is not there, has no content, or does not begin as HDF5 does.

    Raises:
        InputError: It is one of these.
    """
    with one_line_errors(str(path)):
        if (why := why_no_content(path)) is not None:
            raise InputError(f"{path}: {why}")
        if not path.is_file():
            raise InputError(f"{path}: no such file; check the path")
        size, at = path.stat().st_size, 0
        with path.open("rb") as file:
            while at < size:  # behind a block of the user's, of 512 bytes or a power of 2 times it
                file.seek(at)
                if file.read(len(MARK)) == MARK:
                    return
                at = 2 * at or 512
    raise InputError(
        f"{path}: is not HDF5; convert a stream of MRD (version 2: mrd_to_ismrmrd; version 1:"
        " ismrmrd_stream_to_hdf5) or a scanner's raw data to ISMRMRD's HDF5 first"
    )


def dataset(path: Path, group: "h5py.Group", name: str, kind: str = "fastMRI") -> "h5py.Dataset":
    """A data set of a group.

    Raises:
        InputError: If there is none of that name.
    """
    import h5py

    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: has no data set '{name}'; is it a file of {kind}?")
    return found
