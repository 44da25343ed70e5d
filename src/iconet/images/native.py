"""What decoders written in C print."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

LONGEST = 10_000  # bytes


@contextlib.contextmanager
def native_messages() -> Iterator[list[str]]:
    """Keeps what decoders print past Python off standard error.

    libjpeg and libtiff print what is wrong with the data, and go on with zeros. It goes past
    `sys.stderr`, so for the duration the whole process's standard error is redirected.

    Yields:
        A list that holds what was printed, if anything, once the block has ended.
    """
    said: list[str] = []
    with contextlib.suppress(AttributeError, ValueError, OSError):  # none, closed or no file
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error: nothing can be printed
        yield said
        return
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            printed.seek(0)
            if text := printed.read(LONGEST).decode("utf-8", "replace").strip():
                said.append(text)
