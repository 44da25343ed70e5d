"""The program, one process of which gets a signal in the middle of a step.

Arguments: the number of the step, 0 for none; the signal; the process; then those of `iconet`.
It saves after every step, not every two minutes.
"""

import os
import signal
import sys

import torch

from iconet import cli
from iconet.training import loop


def main() -> None:
    cut, number, rank = (int(argument) for argument in sys.argv[1:4])
    loop.SAVE_EVERY = 0.0
    if int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == rank:
        learn = loop.collaboration_loss

        def killed(*arguments: object, **options: object) -> torch.Tensor:
            killed.step += 1  # type: ignore[attr-defined]
            if killed.step == cut:  # type: ignore[attr-defined]
                os.kill(os.getpid(), number)
            return learn(*arguments, **options)  # type: ignore[arg-type]

        killed.step = 0  # type: ignore[attr-defined]
        loop.collaboration_loss = killed
    # As the program does.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(cli.run(sys.argv[4:]))


if __name__ == "__main__":
    main()
