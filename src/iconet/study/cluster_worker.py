"""What a worker of a Dask cluster does: one scan at a time, with weights that it loads once."""

import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.study.attempt import Performed, failed, perform
from iconet.study.decide import remove_partial
from iconet.study.find import Task
from iconet.study.run_one import Upscaler

RESOURCE = "iconet"
"""Every worker has one of it and every scan takes one: so none has two scans at a time."""


@dataclass(frozen=True)
class Order:
    """A scan, and how it is to be done; what can be pickled.

    Attributes:
        task: With whole paths.
        start: Gives what works on tasks.
        how: The weights and options of the client.
    """

    task: Task
    start: Callable[[], Upscaler]
    how: Mapping[str, Any]


async def enrol(dask_worker: Any, folders: Sequence[Path]) -> list[Path]:
    """Give a worker its resource, unless it does not see some of the folders: returns those."""
    unseen = [folder for folder in folders if not folder.exists()]
    if not unseen:
        await dask_worker.set_resources(**{RESOURCE: 1})
    return unseen


def do(order: Order) -> tuple[Performed, list[str]]:
    """Upscale a scan that the client has begun; also what is to be said of it."""
    from distributed import get_worker

    worker, said = get_worker(), list[str]()
    remove_partial(order.task)  # of a worker that died with this scan
    try:
        work = _upscaler(order, str(worker.address))
    except InputError as error:
        return Performed(failed(order.task, error)), said
    if "torch" in sys.modules:
        import torch

        # Whatever was set for the process (Dask's nanny: one): these are the worker's threads.
        torch.set_num_threads(worker.state.nthreads)
    work.say = said.append
    made = perform(order.task, work)
    if made.outcome.fault is not None:
        fault = f"{worker.address}:\n{made.outcome.fault}"
        made = replace(made, outcome=replace(made.outcome, fault=fault))
    return made, said


@lru_cache(maxsize=1)
def _loaded(start: bytes) -> Upscaler:
    return pickle.loads(start)()


def _upscaler(order: Order, worker: str) -> Upscaler:
    """With the client's weights: a file of weights may have changed since they were loaded.

    Raises:
        InputError: They are others here, or cannot be read.
    """
    for _ in range(2):
        work = _loaded(pickle.dumps(order.start))
        if work.how(order.task) == order.how:
            return work
        _loaded.cache_clear()
    raise InputError(
        f"{order.task.source}: the weights that worker {worker} finds are not those of this"
        " program; give both the same files"
    )
