"""Many scans, one after the other or several at a time, and what became of each."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import iconet
from iconet.errors import InputError
from iconet.images import bids
from iconet.images.own import is_own, own_result
from iconet.runtime.allocator import collecting_later
from iconet.study.attempt import attempt, finished
from iconet.study.cluster import Cluster, for_workers
from iconet.study.every_series import every_series
from iconet.study.find import Task, find_tasks
from iconet.study.jobs import Died, run_in_processes
from iconet.study.labelled import with_labels
from iconet.study.part import Part
from iconet.study.run_one import Upscaler
from iconet.study.share import Share
from iconet.study.summary import Outcome, summarise
from iconet.upscaling.options import Options

if TYPE_CHECKING:
    from iconet.study.pages.index import Indexes

Results = Generator[tuple[Task, Outcome], None, None]
Crew = Callable[[Sequence[Task]], Results]


@collecting_later()
def upscale_study(
    inputs: Sequence[Path],
    output: Path | None,
    options: Options,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    reports: bool = False,
    pages: bool = False,
    labels: Sequence[Path] = (),
    part: Part = Part(),  # noqa: B008 - frozen
    cluster: str | None = None,
    say: Callable[[str], None],
    complain: Callable[[InputError], object],
) -> int:
    """Upscale scans; one that cannot be used does not stop the others.

    Several processes that are given the same study share it, and end when all of it is done.

    Args:
        inputs: scans, raw k-space, folders or BIDS datasets; see `iconet.study.find.find_tasks`.
        output: a file for one scan, or a folder, made when missing; None for BIDS datasets. For one
            DICOM series, unless it has the suffix of an image: the folder of the derived series.
        options: for all of them.
        jobs: how many scans at the same time, each in a process with its share of the threads.
        overwrite: replace whatever is there, finished or not made by iconet.
        reports: write a JSON report beside every output.
        pages: write a page with pictures too, and an index in a folder of results.
        labels: of the only scan; they come to the grid of its result.
        part: of the study that is meant.
        cluster: address of a Dask scheduler whose workers do the scans.
        say: called with a line about each scan, and with the summary where they are several.
        complain: called with the error of each scan that could not be used.

    Returns:
        How many scans could not be used.

    Raises:
        InputError: what concerns all of them: the model, an option, the folder.
        RuntimeError: a fault of iconet, after the other scans are done; with its traceback.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    if cluster is not None:
        inputs, output, labels, options = for_workers(inputs, output, labels, options)
    start = partial(Upscaler, options, reports=reports, pages=pages)
    work, notes = cache(start), list[str]()
    tasks, refused = _found(inputs, output, options, part, work, say, notes.append)
    tasks = with_labels(tasks, labels)
    needs = {"needs_report": reports, "needs_page": pages}
    share = Share.of(tasks, overwrite=overwrite, shard=part.shard, **needs)
    outcomes = _Outcomes(tasks, refused, inputs, say, complain)
    with _indexes(tasks, outcomes, overwrite) if pages else nullcontext() as indexes:
        to_do = _unfinished(tasks, work(), share, outcomes, again=options.again)
        with _folders(to_do, share), _crew(cluster, jobs, start, work, share, say) as crew:
            _do(to_do, crew, work(), share, outcomes)
        if indexes is not None:
            indexes.failed = outcomes.failed()
        return outcomes.end(notes)


def _indexes(tasks: Sequence[Task], outcomes: "_Outcomes", overwrite: bool) -> "Indexes":
    from iconet.study.pages.index import Indexes

    indexes = Indexes(tasks, overwrite=overwrite)
    outcomes.after = lambda: indexes.refresh(outcomes.failed())
    return indexes


def _do(
    to_do: Sequence[Task], crew: Crew, work: Upscaler, share: Share, outcomes: "_Outcomes"
) -> None:
    """Do what is not finished, and wait for what other processes are at."""
    share.check(to_do)
    while to_do:
        if left := outcomes.note_all(crew(to_do)):
            outcomes.say(f"waiting for what another process has begun: {len(left)} of the scans")
            share.wait(left)
        to_do = _unfinished(left, work, share, outcomes, by="another process", again=True)


def _found(
    inputs: Sequence[Path],
    output: Path | None,
    options: Options,
    part: Part,
    work: Callable[[], Upscaler],
    say: Callable[[str], None],
    note: Callable[[str], None],
) -> tuple[list[Task], dict[Task, str]]:
    """The tasks, and series that are no scans with the reason."""
    refused = list[tuple[Task, str]]()
    if part.all_series or part.only is not None:
        if options.series is not None:
            raise InputError("--series names one series; omit it, or --all-series and --only")
        every = every_series(inputs, output, part.only, again=options.again)
        if every.own:
            say(f"{every.own} series that iconet made left out; --again takes them too")
        if every.others:
            say(f"{every.others} series left out: --only {part.only}")
        tasks, refused = part.of(every.tasks), part.of(every.refused)
    else:
        one, label = options.series is not None, lambda: work().label()
        tasks = find_tasks(inputs, output, label, one_series=one, part=part, note=note)
    if part.shard is not None:
        say(f"{part.shard}: {len(tasks)} of the scans")
    return tasks, dict(refused)


def _unfinished(
    tasks: Sequence[Task],
    work: Upscaler,
    share: Share,
    outcomes: "_Outcomes",
    *,
    again: bool,
    by: str | None = None,
) -> list[Task]:
    """The tasks that are to be done; notes what became of the others.

    What is wrong with what is there is found again once the task is claimed: another process may be
    at it.
    """
    how = {task: work.how(task) for task in tasks}  # what is wrong with the model concerns all
    share.look(tasks)
    to_do = []
    for task in tasks:
        with suppress(InputError):
            if share.is_finished(task, how[task]) and not share.lacks_page(task):
                outcomes.note(task, finished(task, by))
                continue
        if not again and task.series is None and is_own(task.source):
            outcomes.note(task, Outcome("own", str(own_result(str(task.source)))))
            continue
        to_do.append(task)
    return to_do


class _Outcomes:
    """What became of the tasks so far."""

    def __init__(
        self,
        tasks: Sequence[Task],
        refused: Mapping[Task, str],
        inputs: Sequence[Path],
        say: Callable[[str], None],
        complain: Callable[[InputError], object],
    ) -> None:
        self.tasks, self.inputs = [*tasks, *refused], set(inputs)
        self.say, self.complain = say, complain
        self.found: dict[Task, Outcome] = {}
        self.after: Callable[[], object] = lambda: None  # called when a task was done
        for task, reason in refused.items():
            self.note(task, Outcome("failed", f"{task.name}: {reason}"))

    def note(self, task: Task, outcome: Outcome) -> None:
        """Keep an outcome, and tell of it."""
        if outcome.status == "own" and task.source in self.inputs:
            outcome = Outcome("failed", outcome.line)  # it was asked for
        self.found[task] = outcome
        if outcome.status == "failed":
            self.complain(InputError(outcome.line))
        elif outcome.status == "upscaled" or len(self.tasks) == 1:
            several = len(self.tasks) > 1
            count = f"[{len(self.found)}/{len(self.tasks)}] " if several else ""
            self.say(count + outcome.line)

    def note_all(self, results: Results) -> list[Task]:
        """Note what comes; returns what other processes are at, unless nothing more can be done."""
        left = []
        with closing(results):
            for task, outcome in results:
                if outcome.status == "claimed":
                    left.append(task)
                    continue
                self.note(task, outcome)
                self.after()
                if outcome.full:  # nor is there a place for the others
                    return []
        return left

    def failed(self) -> list[tuple[Task, str]]:
        """What could not be used, and why."""
        return [(task, one.line) for task, one in self.found.items() if one.status == "failed"]

    def end(self, notes: Sequence[str]) -> int:
        """Sum up, and say what was noted; returns how many scans could not be used.

        Raises:
            RuntimeError: one of the outcomes is a fault of iconet.
        """
        for task in self.tasks:
            self.found.setdefault(task, Outcome("not begun", "the disk is full"))
        if len(self.tasks) > 1:
            summarise([(task, self.found[task]) for task in self.tasks], self.say)
        for note in notes:
            self.say(note)
        for outcome in self.found.values():
            if outcome.fault is not None:
                raise RuntimeError(outcome.fault)
        statuses = [outcome.status for outcome in self.found.values()]
        if set(statuses) == {"own"}:
            where = ", ".join(map(str, sorted(self.inputs)))
            self.complain(own_result(where))
            return len(statuses)
        return sum(status in ("failed", "not begun") for status in statuses)


@dataclass(frozen=True)
class _Attempts:
    """What a process does: attempts one task after the other."""

    start: Callable[[], Upscaler]
    share: Share

    def __call__(self) -> Callable[[Task], Outcome]:
        work = self.start()
        return lambda task: attempt(task, work, self.share)


@contextmanager
def _crew(
    cluster: str | None,
    jobs: int,
    start: Callable[[], Upscaler],
    work: Callable[[], Upscaler],
    share: Share,
    say: Callable[[str], None],
) -> Iterator[Crew]:
    """What does the tasks: this process, several on this machine, or the workers of a cluster."""
    if cluster is not None:
        with Cluster(cluster, start, say) as workers:
            yield lambda tasks: workers.attempted(tasks, work(), share)
        return

    def here(tasks: Sequence[Task]) -> Results:
        if jobs == 1 or len(tasks) < 2:
            return ((task, attempt(task, work(), share)) for task in tasks)
        return _in_processes(tasks, _Attempts(start, share), jobs)

    yield here


def _in_processes(tasks: Sequence[Task], attempts: _Attempts, jobs: int) -> Results:
    with closing(run_in_processes(tasks, attempts, jobs)) as results:
        for task, outcome in results:
            if isinstance(outcome, Died):
                line = (
                    f"{task.source}: its process was ended from outside (code {outcome.code}),"
                    " perhaps for lack of memory: try fewer --jobs or a smaller --tile"
                )
                outcome = Outcome("failed", line)
            yield task, outcome


@contextmanager
def _folders(tasks: Sequence[Task], share: Share) -> Iterator[None]:
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
                if share.ledger(root).discard_if_unused() and root in described:
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
