"""All DICOM series of a study, or those of one modality or description, each a task of its own."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path

from iconet.errors import InputError
from iconet.images.dicom.series import MODALITIES, FoundSeries, list_series
from iconet.images.own import own_result
from iconet.study.find import Task, distinct, is_dicom, names_series


@dataclass(frozen=True)
class Every:
    """The series of a study.

    Attributes:
        tasks: Those that are scans.
        refused: Those that are none, with the reason.
        own: How many iconet made.
        others: How many are of another modality and description.
    """

    tasks: list[Task]
    refused: list[tuple[Task, str]]
    own: int
    others: int


def every_series(
    inputs: Sequence[Path], output: Path | None, only: str | None, *, again: bool = False
) -> Every:
    """Find the series and name their outputs: folders below `output`, as the studies' are.

    Args:
        inputs: Folders, zips or DICOMDIRs of DICOM.
        output: A folder.
        only: A modality (MR, CT, PT or PET), or a part of descriptions; None for all.
        again: Take series that iconet made too.

    Raises:
        InputError: No DICOM, none of that modality or description, nothing but what iconet made, or
            no folder to write to.
    """
    if output is None:
        raise InputError("several DICOM series need a folder: name it with --output")
    if not names_series(output):
        raise InputError(f"{output}: names one file for several series; name a folder")
    tasks: list[Task] = []
    refused: list[tuple[Task, str]] = []
    counts: Counter[str] = Counter()
    for path in inputs:
        if not is_dicom(path):
            raise InputError(f"{path}: not DICOM, it has no series; omit --all-series and --only")
        study = path.resolve().name if path.is_dir() else path.stem
        root = output if len(inputs) == 1 else output / study
        found = list_series(path)
        names = Counter(_place(one, path) / _name(one) for one in found)
        for one in found:
            if not _wanted(one, only):
                counts["others"] += 1
            elif one.own and not again:
                counts["own"] += 1
            else:
                below = _place(one, path) / _name(one)
                if names[below] > 1:
                    below = _place(one, path) / _plain(one.uid)
                source = path / _place(one, path) if path.is_dir() else path
                files = tuple(map(Path, one.files)) if path.is_dir() else (path,)
                task = Task(
                    source, root / below, output, series=one.uid, title=one.title, files=files
                )
                if one.refused is None:
                    tasks.append(task)
                else:
                    refused.append((task, one.refused))
    if only is not None and not tasks and not refused and not counts["own"]:
        raise InputError(f"no series of modality or description {only}; omit --only to take all")
    if not tasks and not refused and counts["own"]:
        raise own_result(", ".join(map(str, inputs)))
    return Every(distinct(tasks), refused, counts["own"], counts["others"])


def _wanted(series: FoundSeries, only: str | None) -> bool:
    if only is None:
        return True
    wanted = only.strip().casefold()
    if wanted in [modality.casefold() for modality in (*MODALITIES, "PET")]:
        return series.modality.casefold() == {"pet": "pt"}.get(wanted, wanted)
    return bool(wanted) and wanted in series.description.casefold()


def _place(series: FoundSeries, path: Path) -> Path:
    """The folder below a study that holds all files of a series."""
    if not path.is_dir():
        return Path()
    folder = Path(commonpath([Path(file).parent for file in series.files]))
    return folder.relative_to(path)


def _name(series: FoundSeries) -> str:
    """Of the folder of its result, such as 4-t1-mprage."""
    words = re.findall(r"\w+", series.description)
    return "-".join([series.number, *words] if series.number else words)[:64] or _plain(series.uid)


def _plain(uid: str) -> str:
    """A UID as the name of a folder, whatever a careless program has put there."""
    return ".".join(re.findall("[0-9A-Za-z]+", uid)) or "series"
