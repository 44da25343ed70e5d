"""Which scans there are, and where the output of each goes.

A scan or DICOM series given by name, all readable scans below a folder, or the structural images of
a BIDS dataset.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import write_text
from iconet.images import bids
from iconet.images.dicom.sources import begins_as_dicom
from iconet.images.kspace.read_kspace import SUFFIXES as KSPACE
from iconet.images.kspace.read_kspace import is_kspace_file
from iconet.images.reading import METAIMAGE, NIFTI, NRRD, SUFFIXES, holds_dicom

DERIVATIVE = Path("derivatives") / "iconet"


@dataclass(frozen=True)
class Task:
    """A scan to upscale.

    Attributes:
        source: the scan: a file, or the folder, zip or DICOMDIR of a DICOM series.
        target: its output: a file, or the folder of a derived series.
        root: folder of all outputs, in which a record is kept; None for one output given by name.
        dataset: root of the BIDS dataset that the scan is of.
        series: UID of the DICOM series that is meant; None where the options choose.
        title: of that series, for people.
        files: of that series, or the archive that they lie in.
    """

    source: Path
    target: Path
    root: Path | None = None
    dataset: Path | None = None
    series: str | None = None
    title: str | None = None
    files: tuple[Path, ...] = ()

    @property
    def report_path(self) -> Path:
        """The JSON file beside the output: a report, or the sidecar of a BIDS image."""
        if self.dataset is not None:
            return bids.sidecar(self.target)
        return self.target.with_name(self.target.name + ".report.json")

    @property
    def name(self) -> str:
        """What people call the scan."""
        return str(self.source) + ("" if self.title is None else f", series {self.title}")

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
        write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", self.report_path)


def find_tasks(
    inputs: Sequence[Path], output: Path | None, label: Callable[[], str] = lambda: "iconet"
) -> list[Task]:
    """Find the scans and name their outputs.

    Args:
        inputs: scans, folders, roots of BIDS datasets. Of one folder the content, of several the
            folders themselves come to lie below `output`, with the structure they have. A folder,
            zip or DICOMDIR of DICOM is one scan.
        output: a file for one scan, the folder of one derived series, or a folder for results: for
            files of the same names (of raw k-space with ``.nii.gz``) and, of each DICOM series, a
            folder. None for BIDS datasets only: each gets its results in its own
            `derivatives/iconet`.
        label: gives the entity ``desc-`` of results of a BIDS dataset.

    Raises:
        InputError: nothing to do, two outputs of one name, or no place for them.
    """
    return distinct(
        task for path in inputs for task in _tasks(path, output, label, alone=len(inputs) == 1)
    )


def distinct(tasks: Iterable[Task]) -> list[Task]:
    """Tasks of which no two have one output.

    Raises:
        InputError: two have.
    """
    tasks = list(tasks)
    seen: dict[Path, Path] = {}
    for task in tasks:
        if task.target in seen:
            raise InputError(
                f"two inputs would be written to {task.target}, {seen[task.target]} and"
                f" {task.source}: upscale them into different folders"
            )
        seen[task.target] = task.source
    return tasks


def _tasks(path: Path, output: Path | None, label: Callable[[], str], *, alone: bool) -> list[Task]:
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
        desc = label()
        return [
            Task(scan, below / scan.relative_to(path).with_name(name), below, path)
            for scan in bids.scans(path)
            for name in [bids.derivative_name(scan.name, desc)]
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


def names_series(output: Path) -> bool:
    """Whether an output is the folder of a series: it does not end as names of files do.

    UIDs and versions have dots too, so what follows one is a suffix only if it is a few letters.
    """
    if output.name.lower().endswith(SUFFIXES):
        return False
    return output.is_dir() or not re.fullmatch(r"\.[A-Za-z]{1,4}", output.suffix)
