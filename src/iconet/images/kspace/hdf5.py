"""Opens HDF5 files and finds what is in them, or says in one line why not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iconet.errors import InputError

if TYPE_CHECKING:
    import h5py


@contextlib.contextmanager
def opened(path: Path) -> "Iterator[h5py.File]":
    """The file, open for reading; whatever h5py finds wrong with it meanwhile ends in one line.

    Raises:
        InputError: If it is missing or damaged.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
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
        raise InputError(f"{path}: cannot be read ({reason}); download it again") from None


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
