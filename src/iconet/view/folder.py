"""The private folder for what is dropped on the page and made of it, gone when the program ends."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from iconet.errors import InputError
from iconet.files import write_errors

PREFIX = "iconet-view-"
LEAST_FREE = 2 * 10**9
"""Bytes of the disk that are never filled."""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user may enter; what killed programs left of theirs is removed."""
    from os import getpid

    _remove_left()
    with write_errors(tempfile.gettempdir()):
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_room(folder: Path, wanted: int) -> None:
    """Refuse what would fill the disk.

    Raises:
        InputError: Too little would be left of it.
    """
    free = shutil.disk_usage(folder).free
    if free - wanted < LEAST_FREE:
        raise InputError(
            f"{wanted / 1e9:.1f} GB do not fit: the disk has {free / 1e9:.1f} GB free, of which"
            f" {LEAST_FREE / 1e9:.0f} stay free; free some space, or set TMPDIR to a larger disk"
        )


def _remove_left() -> None:
    from psutil import pid_exists

    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        found = re.match(rf"{PREFIX}(\d+)-", path.name)
        if found and not pid_exists(int(found[1])) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)  # of others: it stays
