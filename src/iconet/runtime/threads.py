"""Threads that each compute with a share of the cores.

Operations on a slice are too small to be shared between cores: those wait for each other longer
than they compute, above all where other programs run.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_before: list[int] = []  # how many torch might use when each of the open `workers` began


def cores() -> int:
    """How many threads torch may use, also while `workers` have torch set to their share."""
    import torch

    return _before[0] if _before else torch.get_num_threads()


@contextmanager
def workers(count: int | None = None, *, each: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Threads for torch on a CPU; gone at the end, without what they have not begun.

    Args:
        count: of them; by default `cores`.
        each: cores for each.
    """
    import torch

    threads = cores()
    _before.append(threads)
    pool = ThreadPoolExecutor(
        threads if count is None else count, initializer=torch.set_num_threads, initargs=(each,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # the setting of a thread is that of later ones too
        _before.pop()
