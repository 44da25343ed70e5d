"""Several processes share the work in a folder: each claims a part before it begins."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iconet.errors import InputError


@contextmanager
def claim(
    path: Path,
    *,
    wait: bool = False,
    remove: bool = False,
    no_locks: str | None = "choose another folder",
) -> Iterator[bool]:
    """Hold a file's lock, so that no other process does the same; False where another one does.

    The operating system frees what a process held when it ends, however it ends.

    Args:
        path: The file, in a folder that all of the processes see; made when missing.
        wait: Until it is free.
        remove: The file afterwards. Another process may then hold a file of this name at the same
            time as one that waited for the removed one: both must look whether the work is done.
        no_locks: What to do where the disk has none; None goes on as if it were held.

    Raises:
        InputError: The file cannot be made or locked.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its stand-in for locks would outlive a process that is killed on another machine.
        lock = FileLock(path, fallback_to_soft=False)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError) as error:
        if _without_locks(error):
            with suppress(OSError):
                path.unlink()
            if no_locks is not None:
                raise InputError(f"{path.parent}: this disk has no locks; {no_locks}") from error
            yield True
            return
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path}: cannot be locked ({reason}); remove it, or choose another folder"
        ) from error
    try:
        yield True
    finally:
        if remove:
            with suppress(OSError):  # Windows removes no file that is open
                path.unlink()
        lock.release()


def _without_locks(error: Exception) -> bool:
    """Whether it is the disk, such as Lustre without `flock` or NFS without its lock daemon."""
    if isinstance(error, NotImplementedError):  # filelock's word for ENOSYS
        return True
    return isinstance(error, OSError) and error.errno in (
        *(errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP),
    )
