"""Work shared by several processes, of which each may die without the others.

A pool of `concurrent.futures` gives all up when one of its processes is killed, as systems do with
those that need too much memory. Here only the task at hand is lost.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple, TypeVar

from iconet.errors import InputError
from iconet.runtime.allocator import keep_freed_blocks

Task = TypeVar("Task")
Result = TypeVar("Result")

PATIENCE = 60.0
"""Seconds for a process to clean up before it is killed."""


class Died(NamedTuple):
    """In place of a result: the process that had the task is gone.

    Attributes:
        code: its exit code; minus the number of the signal that killed it.
    """

    code: int | None


def run_in_processes(
    tasks: Iterable[Task],
    start: Callable[[], Callable[[Task], Result]],
    jobs: int,
) -> Generator[tuple[Task, Result | Died], None, None]:
    """Work on tasks in several processes, each with its share of the threads.

    Args:
        tasks: what can be pickled, as must the next and results, which say what went wrong.
        start: called once in every process, such as to load a model; returns what works on a task.
        jobs: how many processes.

    Yields:
        A task and its result, in the order in which they get done. When no more is asked for, or
        the caller fails or is interrupted, the processes end and clean up.

    Raises:
        InputError: `start` raised it.
        RuntimeError: `start` failed otherwise.
    """
    waiting = deque(tasks)
    at_work: dict[Connection, tuple[BaseProcess, Task | None]] = {}

    def begin() -> None:
        pipe, process = hire(start, jobs)
        at_work[pipe] = process, None

    try:
        for _ in range(min(jobs, len(waiting))):
            begin()
        while at_work:
            for pipe in wait(list(at_work)):
                assert isinstance(pipe, Connection)
                process, task = at_work[pipe]
                try:
                    answer = pipe.recv()
                except (EOFError, OSError):
                    del at_work[pipe]
                    process.join()
                    if task is None:
                        raise RuntimeError(
                            f"a process ended before it began, code {process.exitcode}"
                        ) from None
                    if waiting:
                        begin()
                    yield task, Died(process.exitcode)
                    continue
                if isinstance(answer, InputError):
                    raise answer
                # The next task first: the process need not wait for what is done with the result.
                if waiting:
                    following = waiting.popleft()
                    at_work[pipe] = process, following
                    pipe.send(following)
                else:
                    end({pipe: at_work.pop(pipe)[0]})
                if task is not None:
                    yield task, answer
    finally:
        end({pipe: process for pipe, (process, _) in at_work.items()})


def hire(start: Callable, jobs: int) -> tuple[Connection, BaseProcess]:
    """Start one process; it answers None once `start` is done, and each task with its result.

    Args:
        start: As in `run_in_processes`; what it refuses is the first answer.
        jobs: How many processes share the threads.
    """
    # Spawned: a process that uses threads or a GPU cannot be forked.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, start, jobs), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def end(processes: Mapping[Connection, BaseProcess]) -> None:
    """Stop processes; what they have begun to write is removed."""
    for pipe, process in processes.items():
        pipe.close()
        process.terminate()
    for process in processes.values():
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def _work(pipe: Connection, start: Callable, jobs: int) -> None:
    # Ctrl-C reaches every process of a terminal: the parent is the one that acts on it. What it
    # sends is an exception, so that a file that was begun is removed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_follow_parent, daemon=True).start()
    keep_freed_blocks()

    try:
        work = start()
    except InputError as error:
        pipe.send(error)
        return
    if "torch" in sys.modules:  # else its import would be most of the time of work without it
        import torch

        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    try:
        pipe.send(None)
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent needs no more
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may say so twice


def _exit(number: int, frame: object) -> None:
    """End this process, once: an exception in what Python does at its end would be printed."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _follow_parent() -> None:
    """End this process when the one that started it is gone, also if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
