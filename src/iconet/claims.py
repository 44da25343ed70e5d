"""Several processes share the work in a folder: each claims a part before it begins."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iconet.errors import InputError


@contextmanager
def claim(path: Path, *, wait: bool = False, remove: bool = False) -> Iterator[bool]:
    """Hold a file's lock, so that no other process does the same; False where another one does.

    The operating system frees what a process held when it ends, however it ends.

    Args:
        path: The file, in a folder that all of the processes see; made when missing.
        wait: Until it is free.
        remove: The file afterwards. Another process may then hold a file of this name at the same
            time as one that waited for the removed one: both must look whether the work is done.

    Raises:
        InputError: The file cannot be made or locked.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise InputError(
            f"{path}: cannot be locked ({error.strerror}); remove it, or choose another folder"
        ) from error
    try:
        yield True
    finally:
        if remove:
            with suppress(OSError):  # Windows removes no file that is open
                path.unlink()
        lock.release()
