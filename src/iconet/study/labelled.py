"""`iconet upscale SCAN --labels LABELS`: where the labels of a scan are written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from iconet.errors import InputError
from iconet.images import Scan, check_output, read, write
from iconet.images.kind import Kind
from iconet.images.reading import SUFFIXES
from iconet.study.find import Task
from iconet.upscaling.scan_labels import check_labels

Labels = tuple[Scan, Kind, Path]
"""As read, what they are, and their output."""


def with_labels(tasks: Sequence[Task], labels: Sequence[Path]) -> list[Task]:
    """The tasks, of which the only one gets the labels.

    The output of labels lies beside that of the scan: under their own name in a folder of results,
    and behind the scan's name where the user named its output.

    Raises:
        InputError: Several scans; two outputs of one name.
    """
    if not labels:
        return list(tasks)
    if len(tasks) != 1:
        raise InputError(f"--labels are those of one scan, not of {len(tasks)}; give one scan")
    (task,) = tasks
    pairs = tuple((path, _target(task, path)) for path in labels)
    names = [target for _, target in pairs]
    if len({task.target, *names}) < 1 + len(names):
        raise InputError(f"{names[0]}: two labels of one name; rename one of them")
    return [replace(task, labels=pairs)]


def _target(task: Task, labels: Path) -> Path:
    beside = task.target.with_name(labels.name)
    if task.root is not None and beside != task.target:
        return beside
    name = task.target.name
    suffix = next((each for each in SUFFIXES if name.lower().endswith(each)), "")
    return task.target.with_name(f"{name[: len(name) - len(suffix)]}_{labels.name}")


def read_labels(task: Task, scan: Scan) -> list[Labels]:
    """Read the labels of a task and refuse, before any time is spent, what they cannot become.

    Raises:
        InputError: See `check_labels`; or their output cannot be written.
    """
    found = []
    for source, target in task.labels:
        labels = read(source)
        kind = check_labels(labels, scan)
        check_output(target, [source, task.source], like=labels)
        found.append((labels, kind, target))
    return found


def write_labels(made: Sequence[tuple[Scan, Labels]]) -> str:
    """Write labels; returns what to say of them."""
    for bigger, (labels, _, target) in made:
        write(bigger, target, like=labels)
    return "".join(f"; its labels: {target}" for _, (_, _, target) in made)
