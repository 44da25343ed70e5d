"""Many scans: which they are, where their outputs go, what is done already, what became of each.

A scan or DICOM series given by name, all readable scans below a folder, or the structural images of
a BIDS dataset. An output is finished when it is there, unchanged since iconet wrote it, and was
made from the same input with the same weights and options; `iconet.study.ledger` knows that.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import iconet
from iconet.errors import InputError
from iconet.files import partial_files, write_text
from iconet.images import bids, check_output
from iconet.images.dicom.derived import check_apart
from iconet.images.dicom.sources import begins_as_dicom
from iconet.images.kspace.read_kspace import SUFFIXES as KSPACE
from iconet.images.kspace.read_kspace import is_kspace_file
from iconet.images.reading import METAIMAGE, NIFTI, NRRD, SUFFIXES, holds_dicom
from iconet.study.jobs import Died, run_in_processes
from iconet.study.ledger import Ledger, unchanged
from iconet.study.provenance import names_series
from iconet.study.report import files_of, written_files

DERIVATIVE = Path("derivatives") / "iconet"
SAID = {
    "upscaled": "upscaled",
    "finished": "finished before",
    "failed": "failed",
    "not begun": "not begun",
}


@dataclass(frozen=True)
class Task:
    """A scan to upscale.

    Attributes:
        source: the scan: a file, or the folder, zip or DICOMDIR of a DICOM series.
        target: its output: a file, or the folder of a derived series.
        root: folder of all outputs, in which a record is kept; None for one output given by name.
        dataset: root of the BIDS dataset that the scan is of.
    """

    source: Path
    target: Path
    root: Path | None = None
    dataset: Path | None = None

    @property
    def report(self) -> Path:
        """The JSON file beside the output: a report, or the sidecar of a BIDS image."""
        if self.dataset is not None:
            return bids.sidecar(self.target)
        return self.target.with_name(self.target.name + ".report.json")

    @property
    def key(self) -> str:
        """The output's path below the folder of all outputs."""
        target = self.target if self.root is None else self.target.relative_to(self.root)
        return target.as_posix()

    def write_report(self, content: dict[str, Any]) -> None:
        """Write what was done beside the output; in a BIDS derivative as a part of its sidecar.

        Raises:
            InputError: it cannot be written.
        """
        if self.dataset is not None:
            content = bids.sidecar_content(content, self.source, self.dataset)
        write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", self.report)


@dataclass(frozen=True)
class Outcome:
    """What became of a scan.

    Attributes:
        status: "upscaled", "finished" (before), "failed" or "not begun".
        line: what was done, or what is wrong with the scan.
        seconds: it took.
        fault: the traceback, where the fault is ours.
        full: whether there is no place left for results.
    """

    status: str
    line: str
    seconds: float = 0.0
    fault: str | None = None
    full: bool = False


class Work(Protocol):
    """Upscales a scan; see `iconet.study.run_one`."""

    def how(self, task: Task) -> dict[str, Any]:
        """The weights and options that decide on the result; what JSON can hold."""

    def __call__(self, task: Task) -> tuple[str, list[Path]]:
        """Write the output; returns a line that says so, and the files that were read."""


def plan(inputs: Sequence[Path], output: Path | None) -> list[Task]:
    """Find the scans and name their outputs.

    Args:
        inputs: scans, folders, roots of BIDS datasets. Of one folder the content, of several the
            folders themselves come to lie below `output`, with the structure they have. A folder,
            zip or DICOMDIR of DICOM is one scan.
        output: a file for one scan, the folder of one derived series, or a folder for results: for
            files of the same names (of raw k-space with ``.nii.gz``) and, of each DICOM series, a
            folder. None for BIDS datasets only: each gets its results in its own
            `derivatives/iconet`.

    Raises:
        InputError: nothing to do, two outputs of one name, or no place for them.
    """
    tasks = [task for path in inputs for task in _tasks(path, output, alone=len(inputs) == 1)]
    seen: dict[Path, Path] = {}
    for task in tasks:
        if task.target in seen:
            raise InputError(
                f"two inputs would be written to {task.target}, {seen[task.target]} and"
                f" {task.source}: upscale them into different folders"
            )
        seen[task.target] = task.source
    return tasks


def _tasks(path: Path, output: Path | None, *, alone: bool) -> list[Task]:
    dataset = path.is_dir() and bids.is_dataset(path)
    if output is None:
        if not dataset:
            raise InputError(
                f"{path}: say with --output where to write; only BIDS datasets have a place for"
                " results, derivatives/iconet"
            )
        root = path / DERIVATIVE
    else:
        root = output
    series = not dataset and _is_series(path, root)
    one = series or not path.is_dir()
    file = root.suffix and not root.is_dir()
    if alone and (series or (one and file)):
        return [Task(path, root)]
    if file and root.name.lower().endswith(SUFFIXES):
        several = "several scans" if one else f"the folder {path}"
        raise InputError(f"{root} names one file for {several}: name a folder")
    if one:
        return [Task(path, root / (_series_name(path) if series else _output_name(path)), root)]
    below = root / path.resolve().name if output is not None and not alone else root
    if dataset:
        return [
            Task(scan, below / scan.relative_to(path).with_name(name), below, path)
            for scan in bids.scans(path)
            for name in [bids.derivative_name(scan.name, "iconet")]
        ] or _nothing(path, "no structural image (anat/*_T1w.nii.gz, _T2w, _FLAIR, ...)")
    if _same(root, path):
        raise InputError(f"{root}: is the folder of the scans; choose another --output")
    return [
        Task(scan, below / scan.relative_to(path).with_name(_output_name(scan)), root)
        for scan in _files_below(path, root)
        if scan.name.lower().endswith((*SUFFIXES, *KSPACE))
    ] or _nothing(path, f"no scan (DICOM, {', '.join((*SUFFIXES, *KSPACE))})")


def _nothing(path: Path, what: str) -> list[Task]:
    raise InputError(f"{path}: {what} in this folder; name another one")


def _output_name(scan: Path) -> str:
    """Of the output of a file, in a folder."""
    return f"{scan.stem}.nii.gz" if is_kspace_file(scan) else scan.name


def _series_name(path: Path) -> str:
    """Of the folder of a derived series, in a folder."""
    return path.stem if path.suffix.lower() in (".dcm", ".zip") else path.resolve().name


def _is_series(path: Path, results: Path) -> bool:
    """Whether a path is one DICOM series: a file, a zip, or a folder that holds DICOM files.

    Raises:
        InputError: it is a folder that holds other scans too. (Pictures are taken for previews.)
    """

    def dicom(file: Path) -> bool:
        try:
            return begins_as_dicom(file) if path.is_dir() else holds_dicom(file)
        except OSError:  # to be said when it is read
            return False

    if not path.is_dir():
        return dicom(path)
    others = None
    rest = []
    for file in _files_below(path, results):
        name = file.name.lower()
        if name.endswith((*NIFTI, *NRRD, *METAIMAGE, *KSPACE)):
            others = others or file
        elif not name.endswith(SUFFIXES):
            rest.append(file)
    found = any(map(dicom, rest))
    if found and others is not None:
        raise InputError(f"{path}: holds DICOM and other scans ({others.name}); name one of them")
    return found


def _files_below(folder: Path, results: Path) -> Iterator[Path]:
    """Files in a fixed order; not hidden ones, and not the results in there.

    Links to files are followed, links to folders are not: they may lead round in circles.
    """
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not _same(here / name, results)
        )
        for name in sorted(names):
            if not name.startswith(".") and not _same(here / name, results):
                yield here / name


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def run(
    tasks: Sequence[Task],
    start: Callable[[], Work],
    *,
    jobs: int = 1,
    overwrite: bool = False,
    needs_report: bool = False,
    report: Callable[[str], None],
    complain: Callable[[InputError], object],
) -> int:
    """Do what is not done yet; a scan that cannot be used does not stop the others.

    Args:
        tasks: from `plan`.
        start: makes what does the work; called here, and once in each of several processes.
        jobs: how many scans at the same time, each in a process with its share of the threads.
        overwrite: replace whatever is there, finished or not made by iconet.
        needs_report: whether an output without its report is not finished.
        report: called with a line about each scan, and with the summary where they are several.
        complain: called with the error of each scan that could not be used.

    Returns:
        How many scans could not be used.

    Raises:
        InputError: what concerns all of them.
        RuntimeError: a fault of iconet, after the other scans are done; with its traceback.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    work = start()
    how = {task: work.how(task) for task in tasks}  # what is wrong with the model concerns all
    outcomes: dict[Task, Outcome] = {}

    def note(task: Task, outcome: Outcome) -> None:
        outcomes[task] = outcome
        if outcome.status == "failed":
            complain(InputError(outcome.line))
        elif outcome.status == "upscaled" or len(tasks) == 1:
            count = f"[{len(outcomes)}/{len(tasks)}] " if len(tasks) > 1 else ""
            report(count + outcome.line)

    records = {task.root: Ledger(task.root).entries() for task in tasks if task.root is not None}
    to_do = []
    for task in tasks:
        known = [] if task.root is None else records[task.root].get(task.key, [])
        try:
            if not overwrite and _finished(task, known, how[task], needs_report=needs_report):
                note(task, Outcome("finished", f"{task.target}: is finished already"))
                continue
        except InputError as error:
            note(task, Outcome("failed", str(error)))
            continue
        _remove_partial(task, known)
        to_do.append(task)
    with _folders(to_do):
        if jobs == 1 or len(to_do) < 2:
            results = ((task, attempt(task, work)) for task in to_do)
        else:
            results = _in_processes(to_do, start, jobs)
        with closing(results):
            for task, outcome in results:
                note(task, outcome)
                if outcome.full:  # nor is there a place for the others
                    break
    for task in tasks:
        outcomes.setdefault(task, Outcome("not begun", "the disk is full"))
    if len(tasks) > 1:
        summarise([(task, outcomes[task]) for task in tasks], report)
    for outcome in outcomes.values():
        if outcome.fault is not None:
            raise RuntimeError(outcome.fault)
    return sum(outcome.status in ("failed", "not begun") for outcome in outcomes.values())


@dataclass(frozen=True)
class _Attempts:
    """What a process does: attempts one task after the other."""

    start: Callable[[], Work]

    def __call__(self) -> Callable[[Task], Outcome]:
        work = self.start()
        return lambda task: attempt(task, work)


def _in_processes(
    tasks: Sequence[Task], start: Callable[[], Work], jobs: int
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


def attempt(task: Task, work: Work) -> Outcome:
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


def _finished(
    task: Task,
    known: Sequence[Mapping[str, Any]],
    how: Mapping[str, Any],
    *,
    needs_report: bool,
) -> bool:
    """Whether there is nothing to do.

    Args:
        task: the scan.
        known: what the record says of its output.
        how: the weights and options that would make it now.
        needs_report: whether an output without its report is not finished.

    Raises:
        InputError: something is there that iconet did not make.
    """
    reported = needs_report or task.dataset is not None
    folder = task.target.is_dir() and names_series(task.target)
    if not task.target.exists() or (folder and not any(task.target.iterdir())):
        if reported and task.report.exists() and not known:
            raise InputError(f"{task.report}: is there already; move it, or give --overwrite")
        return False
    # The clearer line if it is the input.
    (check_apart if folder else check_output)(task.target, [task.source])
    if task.root is None:
        raise InputError(f"{task.target}: is there already; give --overwrite to replace it")
    files = written_files(task.target)
    # Where an output was begun and no more is known, iconet was killed when it had just written it.
    begun = bool(known) and "files" not in known[-1]
    if not begun and not any(unchanged(files, entry.get("files")) for entry in known):
        raise InputError(
            f"{task.target}: is there already and not as iconet wrote it; move it, or give"
            " --overwrite to replace it"
        )
    latest = known[-1]
    return (
        not begun
        and latest.get("how") == how
        and unchanged(files, latest["files"])
        and unchanged(_sources(task, latest), latest.get("inputs"))
        and (task.report.exists() or not reported)
    )


def _sources(task: Task, entry: Mapping[str, Any]) -> list[Path]:
    """The files of the scan as recorded: those beside a detached header are known only then."""
    files = files_of(task.source)
    if files != [task.source]:
        return files
    beside = [task.source.with_name(str(file["name"])) for file in entry.get("inputs", [])[1:]]
    return [task.source, *beside]


def _remove_partial(task: Task, known: Sequence[Mapping[str, Any]]) -> None:
    """Remove what a process that was killed, and could not clean up, left of an output."""
    from psutil import pid_exists

    pid = known[-1].get("pid") if known else None
    if isinstance(pid, int) and not pid_exists(pid):
        for partial in partial_files(task.target):
            with suppress(OSError):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


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


def summarise(outcomes: Sequence[tuple[Task, Outcome]], report: Callable[[str], None]) -> None:
    """Say what became of the scans: a table on a terminal, what failed and the counts elsewhere."""
    if sys.stderr.isatty():
        _table(outcomes)
    else:
        for task, outcome in outcomes:
            if outcome.status in ("failed", "not begun"):
                report(f"{outcome.status}: {_without(task.source, outcome.line)}")
    counts = Counter(outcome.status for _, outcome in outcomes)
    parts = [f"{counts[status]} {said}" for status, said in SAID.items() if counts[status]]
    report(f"{len(outcomes)} scans: {', '.join(parts)}")


def _without(source: Path, line: str) -> str:
    return f"{source}: {line.removeprefix(f'{source}: ')}"


def _table(outcomes: Sequence[tuple[Task, Outcome]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("scan", "result", "seconds", "")
    table.columns[2].justify = "right"
    for task, outcome in outcomes:
        bad = outcome.status in ("failed", "not begun")
        table.add_row(
            escape(str(task.source)),
            SAID[outcome.status],
            f"{outcome.seconds:.1f}" if outcome.seconds else "",
            escape(outcome.line.removeprefix(f"{task.source}: ")) if bad else "",
            style="bold red" if bad else None,
        )
    Console(stderr=True).print(table)
