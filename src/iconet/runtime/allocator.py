"""How this process gets its memory."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_BLOCK = 1 << 30


def keep_freed_blocks() -> None:
    """Let the C library give large blocks that were freed out again, instead of fresh pages.

    By default glibc maps every block above 32 MB anew, and the system clears its pages one by one.
    Features of slices from about 512 x 512 are that large: a network on a CPU spends half its time
    there, and its time no longer grows with the pixels. Does nothing elsewhere than on Linux.
    A setting for a whole process, so it is for programs to make, not for a library.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; musl has none
    # Before 2.35 glibc refuses such a threshold. Trimming alone must not be set then: that fixes
    # the other threshold at its first value, 128 kB, and all that is larger is mapped anew.
    if mallopt is not None and mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def collecting_later() -> Iterator[None]:
    """Leave Python's collector off until `collect_from_now`, or the end.

    It would go through the objects of torch, while they are imported, again and again: 0.1 to 0.2 s
    of the start of a program.
    """
    gc.disable()
    try:
        yield
    finally:
        collect_from_now()


def collect_from_now() -> None:
    """Have Python's collector look after what is made from now on, if it was left off."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
