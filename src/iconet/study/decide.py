"""What is to be done: whether an output is finished, and what killed processes left of others.

An output is finished when it is there, unchanged since iconet wrote it, and was made from the same
input with the same weights and options; `iconet.study.ledger` knows that. One that was made with
others is a result too, and stays.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import partial_files
from iconet.images import Scan, check_output
from iconet.images.content import why_no_content
from iconet.images.dicom.derived import check_apart
from iconet.images.dicom.source_header import files_of_headers
from iconet.images.folders import below
from iconet.images.kspace.hdf5 import check_hdf5
from iconet.images.kspace.read_kspace import is_kspace_file
from iconet.images.one_line import one_line_errors
from iconet.images.text_headers.layout import DETACHED, raw_name
from iconet.study.beside import all_beside
from iconet.study.find import Task, names_series
from iconet.study.ledger import unchanged


def is_finished(
    task: Task,
    known: Sequence[Mapping[str, Any]],
    how: Mapping[str, Any],
    *,
    needs_report: bool,
    needs_page: bool = False,
) -> bool:
    """Whether there is nothing to do.

    Args:
        task: the scan.
        known: what the record says of its output.
        how: the weights and options that would make it now.
        needs_report: whether an output without its report is not finished.
        needs_page: whether a page is to be written too; what is finished can get it later.

    Raises:
        InputError: something is there that iconet did not make, or made with other weights or
            options.
    """
    if task.labels:  # asked for by name, as an output is
        for target in (task.target, *(output for _, output in task.labels)):
            if target.exists() and not (target.is_dir() and not any(target.iterdir())):
                raise InputError(f"{target}: is there already; give --overwrite to replace it")
        return False
    reported = needs_report or task.dataset is not None
    folder = task.target.is_dir() and names_series(task.target)
    if not task.target.exists() or (folder and not any(task.target.iterdir())):
        if not known:
            _check_free(*_described(task, reported, needs_page, bool(how.get("uncertainty"))))
        return False
    # The clearer line if it is the input.
    (check_apart if folder else check_output)(task.target, [task.source])
    if task.root is None:
        _check_source(task.source)  # who mends the output first would learn of that next
        raise InputError(f"{task.target}: is there already; give --overwrite to replace it")
    files = written_files(task.target)
    # Where an output was begun and no more is known, iconet was killed when it had just written it.
    begun = bool(known) and "files" not in known[-1]
    made = next((e for e in reversed(known) if unchanged(files, e.get("files"))), None)
    if not begun and made is None:
        raise InputError(
            f"{task.target}: is there already and not as iconet wrote it; move it, or give"
            " --overwrite to replace it"
        )
    latest = known[-1]
    before = (made or latest).get("how", how)
    if before != how:
        raise InputError(
            f"{task.target}: is there already, made with {_others(before, how)}; choose another"
            " --output, or give --overwrite to replace it"
        )
    return (
        not begun
        and latest.get("how") == how
        and unchanged(files, latest["files"])
        and unchanged(_sources(task, latest), latest.get("inputs"))
        and all(path.exists() for path in _needed(task, latest, reported))
    )


def _needed(task: Task, entry: Mapping[str, Any], reported: bool) -> list[Path]:
    """The files that belong to an output beside its own."""
    names = [task.target.with_name(name) for name in entry.get("beside", ())]
    return [*names, task.report_path] if reported else names


def _described(task: Task, reported: bool, page: bool, bounded: bool) -> list[Path]:
    """What is to be written beside an output."""
    described = [task.report_path, *[task.page_path] * page] if reported else []
    return [*described, *(all_beside(task) if bounded else ())]


def _check_free(*paths: Path) -> None:
    """Refuses reports and bounds of something else."""
    for path in paths:
        if path.exists():
            raise InputError(f"{path}: is there already; move it, or give --overwrite")


def _check_source(path: Path) -> None:
    """Refuses a file that plainly is no scan."""
    with one_line_errors(str(path)):
        if is_kspace_file(path):
            check_hdf5(path)
        elif (why := why_no_content(path)) is not None:
            raise InputError(f"{path}: {why}")


def _others(before: Any, how: Mapping[str, Any]) -> str:
    """How an output was made otherwise, such as "other weights, --plane auto, no --isotropic"."""
    if not isinstance(before, Mapping):
        return "other options"
    names = [name for name in {**how, **before} if before.get(name) != how.get(name)]
    parts = ["other weights"] if "weights" in names else []
    for name in names:
        value = before.get(name, "unknown")
        if value is True or value is False or value is None:
            parts.append(f"--{name}" if value else f"no --{name}")
        elif name in how and name != "weights":
            parts.append(f"--{name} {value}")
    return ", ".join(parts) or "other options"


def _sources(task: Task, entry: Mapping[str, Any]) -> list[Path]:
    """The files of the scan as recorded: those beside a detached header are known only then."""
    files = [*task.files] or files_of(task.source)
    if files != [task.source]:
        return files
    beside = [task.source.with_name(str(file["name"])) for file in entry.get("inputs", [])[1:]]
    return [task.source, *beside]


def remove_partial(task: Task) -> None:
    """Remove what processes that were killed, and could not clean up, left of an output.

    For the one that has claimed the task: nobody else writes it then.
    """
    for path in (task.target, task.report_path, task.page_path, *all_beside(task)):
        for partial in partial_files(path):
            with suppress(OSError):
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def files_of(path: str | os.PathLike[str], scan: Scan | None = None) -> list[Path]:
    """The files a scan may lie in.

    One, two with a detached header, or all those below a folder or beside a DICOMDIR.
    """
    path = Path(path)
    if path.is_dir() or path.name.upper() == "DICOMDIR":
        folder = path if path.is_dir() else path.parent
        return sorted(file for file in below(folder).files if file.is_file())
    beside = None if scan is None else scan.data_path
    return [path] if beside is None else [path, beside]


def read_from(path: str | os.PathLike[str], scan: Scan) -> list[Path]:
    """The files a scan was read from: as `files_of`, but of a DICOM series only its own."""
    return files_of_headers(scan.dicom) or files_of(path, scan)


def written_files(path: Path) -> list[Path]:
    """The files that hold the voxels of an output: one, two with a detached header, or a folder."""
    detached = path.suffix.lower() in DETACHED
    return [path, raw_name(path)] if detached else files_of(path)
