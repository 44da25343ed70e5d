"""How many threads there are is the same for all, also while some of them have their share."""

from threading import Barrier

import torch

from iconet.runtime.threads import cores, workers


def test_cores_are_counted_alike_while_workers_have_torch_set_to_their_share():
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # also on a machine of one core
    try:
        both_began = Barrier(2)

        def job() -> tuple[int, int]:
            both_began.wait(timeout=60)
            return torch.get_num_threads(), cores()

        with workers(2, each=1) as pool:
            told = [future.result() for future in [pool.submit(job) for _ in range(2)]]
            assert told == [(1, 2), (1, 2)]
            with workers(1, each=1) as inner:
                assert inner.submit(cores).result() == 2
            assert cores() == 2
        assert (cores(), torch.get_num_threads()) == (2, 2)
    finally:
        torch.set_num_threads(before)
