"""Ctrl-C as a wish: the step at hand is finished and saved first."""

import signal
import threading
from types import FrameType
from typing import Self


class Interruption:
    """While entered, notes a first Ctrl-C in ``wanted``; a second one stops at once.

    An exception in the middle of a step would leave some parameters updated and others not.
    Outside the main thread, which never sees a Ctrl-C, it does nothing.
    """

    def __init__(self) -> None:
        self.wanted = False

    def __enter__(self) -> Self:
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.main:
            signal.signal(signal.SIGINT, self.before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
