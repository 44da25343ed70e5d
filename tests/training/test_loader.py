"""Batches are the same, and in order, however many prepare them."""

import os

import pytest
import torch

from iconet.data import Batch, Sampler, Volume
from iconet.network import Samples
from iconet.physics.degradation import DegradationMix
from iconet.training.loader import MOST_WORKERS, batches, spare_cores

CPU = torch.device("cpu")


class Numbered:
    """A batch that says its step and where it was made."""

    def __call__(self, step: int) -> Batch:
        number = torch.tensor([step, os.getpid()])
        mask = torch.tensor([True, step % 2 == 0])
        return Batch(number, [number, number + 1], Samples(number * (1 + 1j), mask))


# Python 3.12 and later warn of every fork, torch of more workers than cores.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_complete_and_in_order(workers: int) -> None:
    found = list(batches(Numbered(), 3, 8, workers=workers, pin=False))
    assert [int(batch.low[0]) for batch in found] == [3, 4, 5, 6, 7]
    for batch in found:
        step = int(batch.low[0])
        assert isinstance(batch, Batch)
        assert [int(size[0]) for size in batch.clean] == [step, step + 1]
        assert isinstance(batch.samples, Samples)
        assert complex(batch.samples.kspace[0]) == step * (1 + 1j)
        assert batch.samples.mask.tolist() == [True, step % 2 == 0]
    makers = {int(batch.low[1]) for batch in found}
    assert len(makers) == max(1, workers)
    assert (os.getpid() in makers) == (workers == 0)


def test_other_processes_draw_what_this_one_would(volumes: list[Volume]) -> None:
    sampler = Sampler(
        volumes, weights={}, scale=2, patch=32, batch=4, mix=DegradationMix(), seed=3, device=CPU
    )
    for batch, step in zip(batches(sampler, 5, 9, workers=2, pin=False), range(5, 9), strict=True):
        expected = sampler(step)
        torch.testing.assert_close(batch.low, expected.low)
        torch.testing.assert_close(batch.clean, expected.clean)
        assert batch.samples is None


def test_ctrl_c_does_not_end_the_other_processes() -> None:
    ready = batches(_CtrlC(), 0, 3, workers=1, pin=False)
    assert [int(batch.low) for batch in ready] == [0, 1, 2]


class _CtrlC:
    def __call__(self, step: int) -> Batch:
        os.kill(os.getpid(), 2)
        return Batch(torch.tensor(step), [], None)


@pytest.mark.parametrize(
    ("cores", "threads", "processes", "spare"),
    [
        (1, 1, 1, 0),
        (2, 1, 1, 1),
        (2, 2, 1, 0),
        (8, 1, 2, 3),
        (8, 4, 2, 0),
        (64, 1, 1, MOST_WORKERS),
    ],
)
def test_cores_that_compute_are_not_spare(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int, processes: int, spare: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert spare_cores(CPU, processes) == spare
    # A GPU is fed by one thread.
    assert spare_cores(torch.device("cuda"), 1) == min(cores - 1, MOST_WORKERS)
