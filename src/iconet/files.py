"""A file or a folder is complete or absent: it takes its name once all of it is on the disk.

Until then it has a temporary name in the same folder. An exception of any kind in the block, a full
disk or Ctrl-C, removes it, and what had the name before stays. Only a process that is killed at
once leaves it behind, where `partial_files` finds it.
"""

import contextlib
import errno
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from iconet.errors import InputError

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EACCES: "no permission to write there; choose a folder you may write to",
    errno.EPERM: "no permission to write there; choose a folder you may write to",
    errno.EROFS: "a read-only disk; choose a folder you may write to",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "its parent is not a folder; choose another place",
    errno.EISDIR: "is a folder; name a file in it",
    errno.EEXIST: "exists already; name a new or an empty folder",
    errno.ENOTEMPTY: "exists already; name a new or an empty folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextlib.contextmanager
def complete_file(path: Path, *, keep: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which takes the name `path` at the end of the block.

    Links are followed, so that the file they point to is replaced and not the link.

    Args:
        path: An existing file is replaced.
        keep: False tries whether the file can be written, and leaves nothing.

    Raises:
        OSError: It cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    partial = _partial(target, target.suffix)
    try:
        with partial.open("xb") as file:
            yield file
            if keep:
                file.flush()
                os.fsync(file.fileno())
        if keep:
            os.replace(partial, target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def complete_folder(path: Path, *, keep: bool = True, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the name `path` at the end of the block. Links are followed.

    Args:
        path: A new or an empty folder.
        keep: As in `complete_file`.
        replace: Whether it may also take the place of a folder that holds something.

    Raises:
        OSError: It exists already, or cannot be written.
    """
    target = path.resolve()
    if target.exists() and not (target.is_dir() and (replace or not any(target.iterdir()))):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    with _filled_folder(target) as partial:
        yield partial
        if not keep:
            return
        _sync(partial)
        if replace and target.exists():
            _exchange(partial, target)
        else:
            if target.exists():
                target.rmdir()  # only if it is still empty
            os.rename(partial, target)


@contextlib.contextmanager
def complete_together(path: Path) -> Iterator[Path]:
    """A path of the same name in a temporary folder, for writers that want a name.

    What is made in that folder, one file or several, goes beside `path` at the end of the block.

    Raises:
        OSError: It cannot be written.
    """
    with _filled_folder(path) as folder:
        yield folder / path.name
        _sync(folder)
        for made in sorted(folder.iterdir()):
            os.replace(made, path.parent / made.name)


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Writes a text file (UTF-8) completely or not at all.

    Names of files that are not UTF-8 are escaped.

    Raises:
        InputError: `path` cannot be written.
    """
    with write_errors(path), complete_file(Path(path)) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what the system has against writing `path` into one line that names the remedy."""
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(
            error.errno or 0, f"cannot be written ({error.strerror}); choose another place"
        )
        raise InputError(f"{path}: {remedy}") from error


def partial_files(path: Path) -> list[Path]:
    """What is left of attempts to write `path` whose process was killed at once."""
    target = Path(os.path.realpath(path))
    return [*target.parent.glob(f".{glob.escape(_short(target.name))}.*.partial*")]


def sha256_of(path: Path) -> str:
    """Hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _partial(target: Path, suffix: str = "") -> Path:
    return target.with_name(f".{_short(target.name)}.{secrets.token_hex(4)}.partial{suffix}")


def _short(name: str) -> str:
    """A name that leaves room for more, and that no other one gets."""
    if len(name) <= 40:
        return name
    return f"{name[:31]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


@contextlib.contextmanager
def _filled_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, which is gone after the block unless it was renamed."""
    partial = _partial(target)
    try:
        partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def _exchange(partial: Path, target: Path) -> None:
    """In two steps: a folder that holds files cannot be replaced in one."""
    aside = partial.with_suffix(".partial-old")
    try:
        os.rename(target, aside)
        os.rename(partial, target)
    finally:
        if aside.exists() and not target.exists():
            os.rename(aside, target)
        shutil.rmtree(aside, ignore_errors=True)
