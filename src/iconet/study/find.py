"""Which scans there are, and where the output of each goes.

A scan or DICOM series given by name, all readable scans and series below a folder, or the
structural images of a BIDS dataset. What of a folder is not taken is said.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import write_errors, write_text
from iconet.images import bids
from iconet.images.kspace.read_kspace import SUFFIXES as KSPACE
from iconet.images.kspace.read_kspace import is_kspace_file
from iconet.images.reading import PAIR, SUFFIXES, holds_dicom, stem_of
from iconet.study.folder import Contents, contents, named, same_place
from iconet.study.part import Part

DERIVATIVE = Path("derivatives") / "iconet"
INDEX = "index.html"  # of the pages in a folder of results


@dataclass(frozen=True)
class Task:
    """A scan to upscale.

    Attributes:
        source: the scan: a file, or the folder, zip or DICOMDIR of a DICOM series.
        target: its output: a file, or the folder of a derived series.
        root: folder of all outputs, in which a record is kept; None for one output given by name.
        dataset: root of the BIDS dataset that the scan is of.
        labels: files of labels on the scan's grid, each with its output.
        series: UID of the DICOM series that is meant; None where the options choose.
        title: of that series, for people.
        files: of that series, or the archive that they lie in.
        copy: a file for the same voxels, beside a derived series.
    """

    source: Path
    target: Path
    root: Path | None = None
    dataset: Path | None = None
    labels: tuple[tuple[Path, Path], ...] = ()
    series: str | None = None
    title: str | None = None
    files: tuple[Path, ...] = ()
    copy: Path | None = None

    @property
    def report_path(self) -> Path:
        """The JSON file beside the output: a report, or the sidecar of a BIDS image."""
        if self.dataset is not None:
            return bids.sidecar(self.target)
        return self.target.with_name(self.target.name + ".report.json")

    @property
    def page_path(self) -> Path:
        """The page: beside the output, or in the root of a BIDS derivative, as of other tools."""
        if self.dataset is not None and self.root is not None:
            return self.root / f"{stem_of(self.target)}.html"
        return self.target.with_name(self.target.name + ".report.html")

    @property
    def name(self) -> str:
        """What people call the scan."""
        return str(self.source) + ("" if self.title is None else f", series {self.title}")

    @property
    def key(self) -> str:
        """The output's path below the folder of all outputs."""
        target = self.target if self.root is None else self.target.relative_to(self.root)
        return target.as_posix()

    def write_report(self, content: dict[str, Any]) -> dict[str, Any]:
        """Write what was done beside the output; in a BIDS derivative as a part of its sidecar.

        Returns:
            What was written.

        Raises:
            InputError: it cannot be written.
        """
        if self.dataset is not None:
            content = bids.sidecar_content(content, self.source, self.dataset)
        write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", self.report_path)
        return content

    def read_report(self) -> dict[str, Any]:
        """What was written.

        Raises:
            InputError: it cannot be read.
        """
        content = bids.read_json(self.report_path)
        report = content if self.dataset is None else content.get("IconetReport")
        if not isinstance(report, dict) or "input" not in report:
            raise InputError(f"{self.report_path}: is not a report of iconet; remove it")
        return report

    def forget_former(self) -> None:
        """Remove the report and the page of a result that is about to be replaced.

        Raises:
            InputError: they cannot be removed.
        """
        if self.target.exists():
            for path in (self.report_path, self.page_path):
                with write_errors(path):
                    path.unlink(missing_ok=True)


def find_tasks(
    inputs: Sequence[Path],
    output: Path | None,
    label: Callable[[], str] = lambda: "iconet",
    *,
    one_series: bool = False,
    part: Part = Part(),  # noqa: B008 - frozen
    note: Callable[[str], None] = lambda line: None,
) -> list[Task]:
    """Find the scans and name their outputs.

    Args:
        inputs: scans, folders, roots of BIDS datasets. Of one folder the content, of several the
            folders themselves come to lie below `output`, with the structure they have. A zip or
            DICOMDIR of DICOM is one scan.
        output: a file for one scan, the folder of one derived series, or a folder for results: for
            files of the same names (of raw k-space with ``.nii.gz``) and, of each DICOM series, a
            folder. None for BIDS datasets only: each gets its results in its own
            `derivatives/iconet`.
        label: gives the entity ``desc-`` of results of a BIDS dataset.
        one_series: whether a series is chosen by name: then all DICOM in a folder is one scan,
            else every folder with DICOM files in it is one.
        part: of the study that is meant.
        note: called with lines that say what was left out or taken for granted.

    Raises:
        InputError: nothing to do, two outputs of one name, or no place for them.
    """
    alone = len(inputs) == 1
    tasks = distinct(
        task
        for path in inputs
        for task in _tasks(path, output, label, part, alone=alone, one_series=one_series, note=note)
    )
    meant = set(part.of([task for task in tasks if task.dataset is None]))
    return [task for task in tasks if task.dataset is not None or task in meant]


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


def _tasks(
    path: Path,
    output: Path | None,
    label: Callable[[], str],
    part: Part,
    *,
    alone: bool,
    one_series: bool,
    note: Callable[[str], None],
) -> list[Task]:
    dataset = path.is_dir() and bids.is_dataset(path)
    if not dataset and (part.participants or part.sessions):
        raise InputError(
            f"{path}: is not a BIDS dataset: {bids.DESCRIPTION} with BIDSVersion, or folders sub-*,"
            " are missing; name its root"
        )
    if output is None:
        if not dataset:
            raise InputError(
                f"{path}: say with --output where to write; only BIDS datasets have a place for"
                " results, derivatives/iconet"
            )
        root = path / DERIVATIVE
    else:
        root = output
    held = None if dataset or not path.is_dir() else _held(path, root, one_series, note)
    # A folder of nothing but one series is a scan.
    only = held is not None and len(held.series) == 1 and not held.scans
    series = only or (held is None and not dataset and is_dicom(path))
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
    if dataset or held is None:
        return _of_dataset(path, below, label(), part, note)
    return _of_folder(path, held, below, root, note)


def _held(path: Path, results: Path, one_series: bool, note: Callable[[str], None]) -> Contents:
    """What a folder holds; where a series is chosen by name, all DICOM in it is one place."""
    held = contents(path, results)
    if held.left_out:
        note(f"{path}: {named(held.left_out, path)}")
    if not (one_series and held.series):
        return held
    if held.scans:
        other = held.scans[0].name
        raise InputError(f"{path}: holds DICOM and other scans ({other}); name one of them")
    return Contents([], [path], held.left_out)


def _of_folder(
    path: Path, held: Contents, below: Path, root: Path, note: Callable[[str], None]
) -> list[Task]:
    if same_place(root, path):
        raise InputError(f"{root}: is the folder of the scans; choose another --output")
    if bids.looks_like_dataset(path):
        note(
            f"{path}: looks like a BIDS dataset without a {bids.DESCRIPTION} that says BIDSVersion:"
            " all images in it were taken, masks and maps too; add one to take its anatomical"
            " images alone"
        )
    tasks = [
        Task(scan, below / scan.relative_to(path).with_name(_output_name(scan)), root)
        for scan in held.scans
    ]
    taken = {parent for task in tasks for parent in task.target.parents}
    for place in held.series:
        target = below / place.relative_to(path)
        # Beside the results of what else is in there: a derived series has a folder to itself.
        name = place.resolve().name
        tasks.append(Task(place, target / name if target in taken else target, root))
    kinds = f"no scan (DICOM, {', '.join((*SUFFIXES, *KSPACE))})"
    missed = f", {named(held.left_out, path)}," if held.left_out else ""
    return tasks or _nothing(path, f"{kinds}{missed}")


def _of_dataset(
    path: Path, below: Path, desc: str, part: Part, note: Callable[[str], None]
) -> list[Task]:
    scans, places = part.of_dataset(path, bids.scans)
    if others := bids.other_images(places, scans):
        note(f"{path}: no anatomical images, {named([(other, '') for other in others], path)}")
    if not scans and part.shard is None:
        _nothing(path, "no structural image (anat/*_T1w.nii.gz, _T2w, _FLAIR, ...)")
    return [
        Task(scan, below / scan.relative_to(path).with_name(name), below, path)
        for scan in scans
        for name in [bids.derivative_name(scan.name, desc)]
    ]


def _nothing(path: Path, what: str) -> list[Task]:
    raise InputError(f"{path}: {what} in this folder; name another one")


def _output_name(scan: Path) -> str:
    """Of the output of a file, in a folder: a format that cannot be written becomes NIfTI."""
    if is_kspace_file(scan):
        return f"{scan.stem}.nii.gz"
    return f"{scan.stem}.nii" if scan.name.lower().endswith(PAIR) else scan.name


def _series_name(path: Path) -> str:
    """Of the folder of a derived series, in a folder."""
    return path.stem if path.suffix.lower() in (".dcm", ".zip") else path.resolve().name


def is_dicom(path: Path) -> bool:
    """Whether a path is DICOM, as far as it can be read."""
    try:
        return holds_dicom(path)
    except OSError:  # to be said when it is read
        return False


def names_series(output: Path) -> bool:
    """Whether an output is the folder of a series: it does not end as names of files do.

    UIDs and versions have dots too, so what follows one is a suffix only if it is a few letters.
    """
    if output.name.lower().endswith(SUFFIXES):
        return False
    return output.is_dir() or not re.fullmatch(r"\.[A-Za-z]{1,4}", output.suffix)
