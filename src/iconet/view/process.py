"""A process that works on one task after the other, tells how far it is, and may be stopped."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from iconet.errors import InputError
from iconet.study.jobs import PATIENCE, Died, hire

Tell = Callable[[Any], None]


class Process:
    """Started when it is first needed, and again after it has died or was stopped.

    Args:
        start: Called in the process with what tells news; returns what works on a task.
    """

    def __init__(self, start: Callable[["Telling"], Callable[[Any], Any]]) -> None:
        self._start = start
        self._lock, self._ended = threading.Lock(), False
        self._held: tuple[Connection, Connection, BaseProcess] | None = None

    def __call__(self, task: Any, tell: Tell = lambda news: None) -> Any:
        """Have a task worked on, and wait for it.

        Args:
            task: What can be pickled.
            tell: Called with each piece of news.

        Returns:
            The result; `Died` where the process is gone before there is one.

        Raises:
            InputError: What the process starts with cannot be had.
        """
        pipe, news, process = self._hired()
        try:
            pipe.send(task)
            while True:
                ready = wait([pipe, news])
                if news in ready:
                    tell(news.recv())
                elif pipe in ready:
                    return pipe.recv()
        except (EOFError, OSError):
            process.join()
            with self._lock:
                if self._held is not None and self._held[2] is process:
                    self._held = None
            return Died(process.exitcode)

    def warm(self) -> None:
        """Start the process, so that a task need not wait for that."""
        self._hired()

    def stop(self, *, for_good: bool = False) -> None:
        """End the process; what it has begun to write is removed. A later task starts another."""
        with self._lock:
            held, self._held = self._held, None
            self._ended = self._ended or for_good
        if held is None:
            return
        process = held[2]
        # The pipes stay open: whoever waits at them sees that the process is gone.
        process.terminate()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()

    def _hired(self) -> tuple[Connection, Connection, BaseProcess]:
        with self._lock:
            if self._ended:
                raise InputError("iconet view has ended; start it again")
            if self._held is None:
                news, telling = get_context("spawn").Pipe(duplex=False)
                pipe, process = hire(partial(self._start, Telling(telling)), 1)
                telling.close()
                self._held = pipe, news, process
                try:
                    refused = pipe.recv()
                except (EOFError, OSError):
                    refused = None  # that it has died is seen when a task is sent
                if isinstance(refused, InputError):
                    self._held = None
                    raise refused
            return self._held


class Telling:
    """The other end of the news: called in the process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, news: Any) -> None:
        """Send a piece of news; nobody needs it where the pipe is closed."""
        with suppress(OSError):
            self._pipe.send(news)
