"""One task of a study: claimed, begun, done and recorded; whatever is wrong is in its outcome."""

import errno
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from iconet.errors import InputError
from iconet.images.own import OwnResult
from iconet.runtime.allocator import collect_from_now
from iconet.study.beside import all_beside
from iconet.study.decide import written_files
from iconet.study.find import Task
from iconet.study.ledger import fingerprint
from iconet.study.run_one import Upscaler
from iconet.study.share import Share
from iconet.study.summary import Outcome

Files = list[dict[str, Any]]
"""Their fingerprints."""


@dataclass(frozen=True)
class Performed:
    """What became of a task where it was done; what can be pickled.

    Attributes:
        outcome: For people.
        files: That were written; None where it came to nothing.
        inputs: That were read.
        beside: Names of files and folders that belong to it.
    """

    outcome: Outcome
    files: Files | None = None
    inputs: Files | None = None
    beside: tuple[str, ...] = ()


def attempt(task: Task, work: Upscaler, share: Share) -> Outcome:
    """Upscale a scan that no other process is at."""
    try:
        with begun(task, work, share) as ready:
            if isinstance(ready, Outcome):
                return ready
            return record(task, ready, perform(task, work), share)
    except Exception as error:
        return failed(task, error)


@contextmanager
def begun(task: Task, work: Upscaler, share: Share) -> Iterator[Outcome | Mapping[str, Any]]:
    """Hold a task that is begun: how it is made; or say why there is nothing to do.

    Raises:
        InputError: It cannot be begun.
    """
    with share.claimed(task) as free:
        if not free:
            yield Outcome("claimed", f"{task.target}: another process is working on it")
            return
        share.look([task])
        if share.is_finished(task, wanted := work.how(task)):
            drawn = share.lacks_page(task)
            if drawn:
                work.draw(task)
            yield finished(task, None if drawn else "another process")
            return
        share.begin(task, wanted)
        yield wanted


def perform(task: Task, work: Upscaler) -> Performed:
    """Upscale a task that was begun."""
    start = time.monotonic()
    try:
        line, inputs = work(task)
        outcome = Outcome("upscaled", line, time.monotonic() - start)
        if task.root is None:
            return Performed(outcome, [], [])
        return Performed(
            outcome,
            [fingerprint(path) for path in written_files(task.target)],
            [fingerprint(path) for path in inputs],
            tuple(path.name for path in all_beside(task) if path.exists()),
        )
    except Exception as error:
        return Performed(failed(task, error, time.monotonic() - start))
    finally:
        collect_from_now()  # what one scan leaves behind is gone before the next one is done


def record(task: Task, how: Mapping[str, Any], made: Performed, share: Share) -> Outcome:
    """Note in the record that a task is done or came to nothing."""
    if task.root is not None:
        ledger = share.ledger(task.root)
        try:
            if made.files is not None and made.inputs is not None:
                ledger.finish(task.key, made.files, made.inputs, how, made.beside)
        except InputError as error:
            made = Performed(failed(task, error, made.outcome.seconds))
        if made.files is None:
            with suppress(InputError):
                ledger.give_up(task.key)
    return made.outcome


def finished(task: Task, by: str | None) -> Outcome:
    """Nothing to do: done before, or by another process during the run."""
    if by is None:
        return Outcome("finished", f"{task.target}: is finished already")
    return Outcome("shared", f"{task.target}: was made by {by}")


def failed(task: Task, error: Exception, seconds: float = 0) -> Outcome:
    """What is wrong, while an exception is handled."""
    if isinstance(error, OwnResult):
        return Outcome("own", str(error))
    cause = error.__cause__
    full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, InputError):
        line = str(error) if task.title is None else f"{task.name}: {error}"
        return Outcome("failed", line, seconds, full=full)
    line = f"{task.name}: {type(error).__name__}, a fault of iconet"
    return Outcome("failed", line, seconds, fault=traceback.format_exc(), full=full)
