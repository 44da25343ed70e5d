"""Ctrl-C and SIGTERM as wishes: the step at hand is finished and saved first."""

import signal
import threading
from types import FrameType
from typing import NoReturn, Self

# Schedulers send SIGTERM when the time is over, before they kill.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While entered, notes a first Ctrl-C or SIGTERM in ``wanted``; a second one stops at once.

    An exception in the middle of a step would leave some parameters updated and others not.
    Outside the main thread, which never sees a signal, it does nothing.

    Attributes:
        wanted: Number of the signal; 0 while there was none.
    """

    def __init__(self) -> None:
        self.wanted = 0

    def __enter__(self) -> Self:
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if self.main:
            for number, handler in self.before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            self.__exit__()
            stop_as(number)
        self.wanted = number


def stop_as(number: int) -> NoReturn:
    """What a signal would have done had it not been noted: Ctrl-C is a KeyboardInterrupt."""
    if threading.current_thread() is threading.main_thread():
        signal.raise_signal(number)
    raise KeyboardInterrupt
