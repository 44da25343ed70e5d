"""What a person sees of a run: a bar on a terminal, lines elsewhere, curves in TensorBoard."""

import math
import time
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from iconet.errors import InputError
from iconet.training.state import RunState

LINE_EVERY = 30.0  # seconds between lines where there is no terminal
LOG_EVERY = 20  # steps between points of the logged curves


class Reporter:
    """Shows loss, speed and time left.

    Args:
        output: Folder for the TensorBoard logs.

    Raises:
        InputError: If the folder cannot be written to.
    """

    def __init__(self, output: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        try:
            self.writer = SummaryWriter(str(output / "tensorboard"))
        except OSError as error:
            raise InputError(
                f"{output}: cannot be written to ({error.strerror}); choose another folder"
            ) from None
        self.console = Console()
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=1.0)
        self.loss: float | None = None
        self.last_line = time.monotonic()
        self.first: tuple[float, float] | None = None  # done, time

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        self.writer.close()

    def step(
        self, step: int, loss: Tensor, rate: float, done: float, speed: float, waiting: float
    ) -> None:
        """Report a finished step.

        Args:
            step: Its number, from 1.
            loss: Of this step.
            rate: Learning rate.
            done: Finished part of the run before it, 0 to 1.
            speed: Patches a second.
            waiting: Share of the steps' time that passed waiting for batches.

        Raises:
            InputError: If the loss is not a number.
        """
        # Reading a loss from a GPU waits for it, so not every step.
        if step % LOG_EVERY:
            return
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(
                f"the loss is not a number at step {step}; lower optimisation.learning_rate and "
                "begin in another folder"
            )
        self.loss = value if self.loss is None else 0.9 * self.loss + 0.1 * value
        now = time.monotonic()
        first_done, begin = self.first = self.first or (done, now)
        text = f"step {step}  loss {self.loss:.5f}"
        text += f"  {speed:.1f} patches/s, waiting {waiting:.1%}"
        if done > first_done:
            left = (now - begin) * (1 - done) / (done - first_done) / 60
            text += f"  {left:.0f} min left"
        self.bar.update(self.task, completed=done, description=text)
        self.writer.add_scalar("loss/train", value, step)
        self.writer.add_scalar("learning_rate", rate, step)
        if not self.console.is_terminal and now - self.last_line > LINE_EVERY:
            self.last_line = now
            print(text, flush=True)

    def validation(self, step: int, scores: dict[str, float]) -> None:
        """Report PSNR on the validation scans."""
        for name, value in scores.items():
            self.writer.add_scalar(f"validation/{name}", value, step)
        text = "  ".join(f"{name} {value:.3f} dB" for name, value in scores.items())
        self.console.print(f"validation at step {step}: {text}", highlight=False)

    def resumed(self, state: RunState, steps: int) -> None:
        """Report where a run goes on, or that it is over."""
        text = f"goes on at step {state.step} of {steps}"
        if state.step >= steps:
            text = f"finished at step {state.step}; ask for more optimisation.steps to go on"
        text += f", after {state.elapsed / 60:.1f} min of training"
        if state.best:
            text += f"; best so far {state.best['mean']:.3f} dB at step {state.best['step']:.0f}"
        self.console.print(text, highlight=False, soft_wrap=True)

    def saved(self, step: int) -> None:
        """Report what a run that cannot go on has saved."""
        self.console.print(f"saved at step {step}", highlight=False)

    def interrupted(self, step: int) -> None:
        """Report that a signal stopped the run and nothing is lost."""
        self.console.print(f"saved at step {step}; rerun the command to resume", highlight=False)

    def tuned(self, state: RunState) -> None:
        """Report whether a run made the weights better that it started from."""
        assert state.best is not None and state.start is not None
        best, step = state.best["mean"], state.best["step"]
        if step:
            text = f"kept step {step:.0f}: {best:.3f} dB on validation scans, "
            text += f"{best - state.start:+.3f} dB against the weights that it started from"
        else:
            text = f"no step was better than the start on validation scans, {best:.3f} dB; "
            text += "the file has the weights of the start"
        self.console.print(text, highlight=False, soft_wrap=True)
