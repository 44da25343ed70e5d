"""What goes beside an output where it is asked how far the output may be trusted."""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.files import write_errors, write_text
from iconet.images import Scan, bids, check_output, read, write
from iconet.images.dicom.derived import as_stored, check_folder, write_series
from iconet.images.dicom.derived_header import Provenance
from iconet.images.reading import NIFTI, stem_of
from iconet.runtime.threads import workers
from iconet.study.find import Task, names_series

LOWER, UPPER, RESIDUAL = "lower", "upper", "residual"

WORDS = {
    LOWER: "5 % of the true values are expected below this",
    UPPER: "5 % of the true values are expected above this",
    RESIDUAL: "The result degraded again minus its source, in standard deviations of the source's"
    " noise",
}


def beside(task: Task, what: str) -> Path:
    """The file or the folder that goes beside the output of a task.

    BIDS has one entity ``desc-`` a name; other outputs get one at their end. The residual has signs
    and fractions, which pictures cannot hold, and no unit that DICOM would know.
    """
    target = task.target
    if task.dataset is not None:
        return target.with_name(bids.derivative_name(target.name, what))
    if names_series(target):
        return target.with_name(f"{target.name}_desc-{what}" + _if(what, ".nii.gz"))
    ending = target.name[len(stem_of(target)) :]
    if target.suffix.lower() in (".png", ".tif", ".tiff"):
        ending = _if(what, ".npy") or ending
    return target.with_name(f"{stem_of(target)}_desc-{what}{ending}")


def _if(what: str, ending: str) -> str:
    return ending if what == RESIDUAL else ""


def all_beside(task: Task) -> list[Path]:
    """All that may go there; nothing beside a kind of file that is none of ours.

    That its source is no scan is said where that is read.
    """
    try:
        return [beside(task, what) for what in WORDS]
    except InputError:
        return []


def check_beside(task: Task) -> None:
    """Refuse, before time is spent, what `write_beside` could not write.

    Raises:
        InputError: One of the files is the input or cannot be written.
    """
    for path in all_beside(task):
        if names_series(path):
            check_folder(path, [task.source], replace=True)
        else:
            check_output(path, [task.source])


def write_beside(
    task: Task,
    scan: Scan,
    bigger: Scan,
    residual: Future[NDArray[np.float32] | None],
    provenance: Provenance,
) -> list[Path]:
    """Write both bounds of a result, and how far it is from its source.

    Args:
        task: whose output is written.
        scan: as read.
        bigger: the result, with its bounds.
        residual: of `iconet.upscaling.input_consistency.residual_map`.
        provenance: of a derived series.

    Returns:
        The files and folders.
    """
    if scan.dicom and names_series(task.target):
        written = _write_series(task, scan, bigger, provenance)
    else:
        written = write_bounds(task, bigger, scan)
    if (found := residual.result()) is not None:
        path = beside(task, RESIDUAL)
        plain = replace(scan, dtype=np.dtype(np.float32), slope=1.0, inter=0.0)
        write(replace(plain, array=found, mark=bigger.mark), path, like=plain)
        written.append(path)
    return written


def with_bounds(task: Task, bigger: Scan) -> Scan:
    """A result that was read again, with its bounds if these are there."""
    paths = [beside(task, what) for what in (LOWER, UPPER)]
    if not all(path.exists() for path in paths):
        return bigger
    lower, upper = (read(path).array for path in paths)
    return replace(bigger, bounds=(lower, upper))


def write_bounds(task: Task, bigger: Scan, like: Scan) -> list[Path]:
    """Write the bounds of a result, if it has any, into files stored as those of a scan are."""
    if bigger.bounds is None:
        return []
    paths = [beside(task, what) for what in (LOWER, UPPER)]
    parts = [replace(bigger, array=values, bounds=None) for values in bigger.bounds]
    with workers(len(paths)) as pool:  # rounding and compressing take longer than the disk
        list(pool.map(partial(write, like=like), parts, paths))
    return paths


def _write_series(task: Task, scan: Scan, bigger: Scan, provenance: Provenance) -> list[Path]:
    if bigger.bounds is None:
        return []
    written, stored = [], as_stored(bigger, scan.dicom)
    outwards = {
        LOWER: (np.minimum, np.floor),
        UPPER: (np.maximum, np.ceil),
    }
    for what, values in zip(outwards, bigger.bounds, strict=True):
        # Each series has steps of its own: none may cross what is stored of the image.
        outer, rounding = outwards[what]
        bound = replace(bigger, array=outer(values, stored).astype(np.float32), bounds=None)
        text = f"{WORDS[what]}. {provenance.text}"
        made = replace(provenance, text=text, bound=what)
        path = beside(task, what)
        write_series(bound, scan.dicom, path, provenance=made, replace=True, rounding=rounding)
        written.append(path)
    return written


def named_beside(paths: Sequence[Path]) -> str:
    """For the end of a line about an output."""
    return f"; beside it: {', '.join(path.name for path in paths)}" if paths else ""


def describe_beside(task: Task, content: dict[str, Any]) -> None:
    """Write the sidecars that BIDS asks for beside the files of `write_beside`.

    Args:
        task: of a BIDS dataset; nothing is done for others.
        content: of the sidecar of the output itself.
    """
    if task.dataset is None:
        return
    kept = {name: value for name, value in content.items() if name != "IconetReport"}
    for what, words in WORDS.items():
        path = beside(task, what)
        if path.exists() and path.name.lower().endswith(NIFTI):
            said = {**kept, "Description": f"{words}. {content['Description']}"}
            text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
            write_text(text, bids.sidecar(path))


def forget_beside(task: Task) -> None:
    """Remove what lies beside a result that is about to be replaced: it is of another one.

    Raises:
        InputError: it cannot be removed, or is no work of iconet.
    """
    for path in all_beside(task) if task.target.exists() else ():
        if path.is_dir():
            check_folder(path, [task.source], replace=True)
        with write_errors(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            if task.dataset is not None:
                bids.sidecar(path).unlink(missing_ok=True)
