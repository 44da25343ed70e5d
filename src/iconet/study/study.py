"""Many scans, one after the other or several at a time, and what became of each."""

import errno
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import iconet
from iconet.errors import InputError
from iconet.images import bids
from iconet.study.decide import is_finished, remove_partial, written_files
from iconet.study.find import Task, find_tasks
from iconet.study.jobs import Died, run_in_processes
from iconet.study.labelled import with_labels
from iconet.study.ledger import Ledger
from iconet.study.run_one import Upscaler
from iconet.study.summary import Outcome, summarise
from iconet.upscaling.options import Options


def upscale_study(
    inputs: Sequence[Path],
    output: Path | None,
    options: Options,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    reports: bool = False,
    labels: Sequence[Path] = (),
    say: Callable[[str], None],
    complain: Callable[[InputError], object],
) -> int:
    """Upscale scans; one that cannot be used does not stop the others.

    Args:
        inputs: scans, raw k-space, folders or BIDS datasets; see `iconet.study.find.find_tasks`.
        output: a file for one scan, or a folder, made when missing; None for BIDS datasets.
            For one DICOM series, unless it has the suffix of an image: the folder of the derived
            series.
        options: for all of them.
        jobs: how many scans at the same time, each in a process with its share of the threads.
        overwrite: replace whatever is there, finished or not made by iconet.
        reports: write a JSON report beside every output.
        labels: of the only scan; they come to the grid of its result.
        say: called with a line about each scan, and with the summary where they are several.
        complain: called with the error of each scan that could not be used.

    Returns:
        How many scans could not be used.

    Raises:
        InputError: what concerns all of them: the model, an option, the folder.
        RuntimeError: a fault of iconet, after the other scans are done; with its traceback.
    """
    notes = list[str]()
    chosen = options.series is not None
    tasks = find_tasks(inputs, output, one_series=chosen, note=notes.append)
    tasks = with_labels(tasks, labels)
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    start = partial(Upscaler, options, reports=reports)
    work, outcomes = start(), _Outcomes(tasks, say, complain)
    to_do = _unfinished(tasks, work, outcomes, overwrite=overwrite, needs_report=reports)
    with _folders(to_do):
        if jobs == 1 or len(to_do) < 2:
            results = ((task, attempt(task, work)) for task in to_do)
        else:
            results = _in_processes(to_do, start, jobs)
        with closing(results):
            for task, outcome in results:
                outcomes.note(task, outcome)
                if outcome.full:  # nor is there a place for the others
                    break
    failed = outcomes.end()
    for line in notes:
        say(line)
    return failed


def _unfinished(
    tasks: Sequence[Task],
    work: Upscaler,
    outcomes: "_Outcomes",
    *,
    overwrite: bool,
    needs_report: bool,
) -> list[Task]:
    """The tasks that are to be done; notes what became of the others."""
    how = {task: work.how(task) for task in tasks}  # what is wrong with the model concerns all
    records = {task.root: Ledger(task.root).entries() for task in tasks if task.root is not None}
    to_do = []
    for task in tasks:
        known = [] if task.root is None else records[task.root].get(task.key, [])
        try:
            if not overwrite and is_finished(task, known, how[task], needs_report=needs_report):
                outcomes.note(task, Outcome("finished", f"{task.target}: is finished already"))
                continue
        except InputError as error:
            outcomes.note(task, Outcome("failed", str(error)))
            continue
        remove_partial(task, known)
        to_do.append(task)
    return to_do


class _Outcomes:
    """What became of the tasks so far."""

    def __init__(
        self,
        tasks: Sequence[Task],
        say: Callable[[str], None],
        complain: Callable[[InputError], object],
    ) -> None:
        self.tasks, self.say, self.complain = tasks, say, complain
        self.found: dict[Task, Outcome] = {}

    def note(self, task: Task, outcome: Outcome) -> None:
        """Keep an outcome, and tell of it."""
        self.found[task] = outcome
        if outcome.status == "failed":
            self.complain(InputError(outcome.line))
        elif outcome.status == "upscaled" or len(self.tasks) == 1:
            several = len(self.tasks) > 1
            count = f"[{len(self.found)}/{len(self.tasks)}] " if several else ""
            self.say(count + outcome.line)

    def end(self) -> int:
        """Sum up; returns how many scans could not be used.

        Raises:
            RuntimeError: one of the outcomes is a fault of iconet.
        """
        for task in self.tasks:
            self.found.setdefault(task, Outcome("not begun", "the disk is full"))
        if len(self.tasks) > 1:
            summarise([(task, self.found[task]) for task in self.tasks], self.say)
        for outcome in self.found.values():
            if outcome.fault is not None:
                raise RuntimeError(outcome.fault)
        return sum(outcome.status in ("failed", "not begun") for outcome in self.found.values())


@dataclass(frozen=True)
class _Attempts:
    """What a process does: attempts one task after the other."""

    start: Callable[[], Upscaler]

    def __call__(self) -> Callable[[Task], Outcome]:
        work = self.start()
        return lambda task: attempt(task, work)


def _in_processes(
    tasks: Sequence[Task], start: Callable[[], Upscaler], jobs: int
) -> Generator[tuple[Task, Outcome], None, None]:
    with closing(run_in_processes(tasks, _Attempts(start), jobs)) as results:
        for task, outcome in results:
            if isinstance(outcome, Died):
                line = (
                    f"{task.source}: its process was ended from outside (code {outcome.code}),"
                    " perhaps for lack of memory: try fewer --jobs or a smaller --tile"
                )
                outcome = Outcome("failed", line)
            yield task, outcome


def attempt(task: Task, work: Upscaler) -> Outcome:
    """Upscale a scan; whatever is wrong with it is in the outcome."""
    began = time.monotonic()
    ledger = None if task.root is None else Ledger(task.root)
    try:
        if ledger is not None:
            ledger.begin(task.key)
        line, inputs = work(task)
        if ledger is not None:
            ledger.finish(task.key, written_files(task.target), inputs, work.how(task))
        return Outcome("upscaled", line, time.monotonic() - began)
    except Exception as error:
        if ledger is not None:
            with suppress(InputError):
                ledger.give_up(task.key)
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        expected = isinstance(error, InputError)
        return Outcome(
            "failed",
            str(error) if expected else f"{task.source}: {type(error).__name__}, a fault of iconet",
            time.monotonic() - began,
            fault=None if expected else traceback.format_exc(),
            full=full,
        )


@contextmanager
def _folders(tasks: Sequence[Task]) -> Iterator[None]:
    """The folders of the outputs; those that are new and stay empty are gone again at the end."""
    made: list[Path] = []
    described: list[Path] = []
    roots = {task.root: task.dataset for task in tasks if task.root is not None}
    try:
        for root, dataset in roots.items():
            _make(root, made, parents=dataset is not None)
            if dataset is not None:
                description = root / bids.DESCRIPTION
                new = not description.exists()
                bids.describe_derivative(root, dataset, version=iconet.__version__)
                if new:
                    described.append(root)
        for task in tasks:
            if task.root is not None:
                _make(task.target.parent, made, parents=True)
        yield
    finally:
        for root in roots:
            with suppress(OSError):
                if Ledger(root).discard_if_unused() and root in described:
                    (root / bids.DESCRIPTION).unlink()
        for folder in sorted(made, reverse=True):
            with suppress(OSError):  # it holds results
                folder.rmdir()


def _make(folder: Path, made: list[Path], *, parents: bool) -> None:
    missing = [folder, *folder.parents] if parents else [folder]
    try:
        for path in reversed([path for path in missing if not path.is_dir()]):
            path.mkdir(exist_ok=True)
            made.append(path)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be made: {error.strerror}: choose another folder"
        ) from error
