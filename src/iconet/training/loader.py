"""Batches, prepared by other processes while the network learns."""

import os
import signal
from collections.abc import Callable, Generator

import torch
from torch.utils.data import DataLoader, Dataset

from iconet.data import Batch
from iconet.training.interruption import SIGNALS

MOST_WORKERS = 16
Draw = Callable[[int], Batch]


def batches(draw: Draw, first: int, last: int, *, workers: int, pin: bool) -> Generator[Batch]:
    """The batches of the steps ``first`` to ``last - 1``, in this order.

    As a batch is a function of its step alone, it is the same however many prepare them.

    Args:
        draw: Gives the batch of a step.
        first: Number of the first step.
        last: Number of the step after the last.
        workers: How many processes prepare batches; with 0 they are prepared when asked for.
            Processes, not threads: a batch takes hundreds of short operations, and a network on a
            GPU is kept busy by a single Python thread that must not wait for others.
        pin: Whether to put batches where a GPU can fetch them by itself.
    """
    yield from DataLoader(
        _Batches(draw),
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_leave_signals_to_the_main_process,
    )


class _Batches(Dataset[Batch]):
    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __getitem__(self, step: int) -> Batch:
        return self.draw(step)


def spare_cores(device: torch.device, processes: int) -> int:
    """Cores that training leaves free, for each of the processes that train on this machine.

    On a CPU that computes with all its cores there is none; ``OMP_NUM_THREADS`` says with how many.
    """
    all_cores = hasattr(os, "sched_getaffinity")
    usable = len(os.sched_getaffinity(0)) if all_cores else os.cpu_count() or 1
    busy = torch.get_num_threads() if device.type == "cpu" else 1
    return max(0, min(MOST_WORKERS, usable // processes - busy))


def _leave_signals_to_the_main_process(worker: int) -> None:
    for number in SIGNALS:  # a terminal and a scheduler send them to all processes
        signal.signal(number, signal.SIG_IGN)
