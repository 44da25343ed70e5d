"""Progress on standard error: a bar on a terminal, a line now and then in a log file."""

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from iconet.upscaling.slices import Progress

EVERY = 10.0
"""Seconds between two lines in a log file."""


@contextmanager
def shown_progress(label: str) -> Iterator[Progress]:
    """Give a function to call with (done, total), which shows how far the work is.

    Args:
        label: what is being worked on, such as a file's name.
    """
    # Bars of several processes would overwrite each other.
    if sys.stderr.isatty() and multiprocessing.parent_process() is None:
        with _bar(label) as update:
            yield update
    else:
        yield _Lines(label)


@contextmanager
def _bar(label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    def __init__(self, label: str) -> None:
        self.label = label
        self.start = self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last < EVERY or done == 0:
            return
        self.last = now
        left = (now - self.start) / done * (total - done)
        print(f"{self.label}: {done} of {total}, {left:.0f} s left", file=sys.stderr)
