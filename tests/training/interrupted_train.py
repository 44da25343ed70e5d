"""The program, as a person runs it who presses Ctrl-C at a step that only one process notices.

Arguments: the number of the step, 0 for none; then those of `iconet`.
"""

import os
import signal
import sys

from iconet import cli
from iconet.training.loader import _Batches


def main() -> None:
    cut, *arguments = sys.argv[1:]
    if os.environ.get("LOCAL_RANK") == "1":
        prepare = _Batches.__getitem__

        def press_ctrl_c(self: _Batches, step: int) -> object:
            if step + 1 == int(cut):
                os.kill(os.getpid(), signal.SIGINT)
            return prepare(self, step)

        _Batches.__getitem__ = press_ctrl_c  # type: ignore[assignment, method-assign]
    sys.exit(cli.run(arguments))


if __name__ == "__main__":
    main()
