"""Tables on disk, a line written as soon as it is measured: results, costs, times of a step."""

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from iconet.errors import InputError
from iconet.evaluation import sfrc
from iconet.evaluation.lowering import WAYS
from iconet.evaluation.metrics import CONVENTION
from iconet.files import complete_file


@dataclass(frozen=True)
class Key:
    """What makes a measurement the same measurement.

    Attributes:
        condition: Name in the recipe.
        scale: How many times fewer pixels along each side.
        degradation: How the scan was degraded, one of `iconet.evaluation.lowering.WAYS`.
        method: Name in the recipe.
        seed: Of the training run; empty for what was not trained here.
        weights: SHA-256 of a model's file; empty for an interpolation.
        compute: Device and precision that a model ran on; empty for an interpolation.
        truth: Shape and mean of what was measured against, so that a row does not outlive a change
            of the scan or of how the truth is made of it.
        convention: Of metrics and degradation, see `convention_id`.
    """

    condition: str
    scale: int
    degradation: str
    method: str
    seed: str
    weights: str
    compute: str
    dataset: str
    subject: str
    path: str
    truth: str
    convention: str


@dataclass(frozen=True)
class Row(Key):
    """One volume, one method."""

    contrast: str
    slices: int
    psnr_foreground: float
    ssim_foreground: float
    nmse_foreground: float
    psnr: float
    ssim: float
    nmse: float
    haarpsi: float
    sfrc: float

    @property
    def key(self) -> Key:
        """By which a finished measurement is recognised."""
        return Key(**{field.name: getattr(self, field.name) for field in fields(Key)})


def convention_id(degradation: str) -> str:
    """Hash of how scans are degraded and measured: rows under another are not comparable."""
    text = CONVENTION + sfrc.CONVENTION + WAYS[degradation]
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class CostRow:
    """What one network costs, see `iconet.evaluation.costs.Cost`."""

    network: str
    scale: int
    known_samples: str
    digest: str
    compute: str
    parameters: int
    gmacs: float
    cpu_ms: float
    cpu_ms_low: float
    cpu_ms_high: float
    cpu_mb: float
    gpu_ms: float
    gpu_mb: float


@dataclass(frozen=True)
class StepRow:
    """Seconds of a training step: median and quartiles.

    Attributes:
        purpose: Of the first training recipe that has these steps, for people.
        digest: Of all that decides how long a step takes, by which the row is found.
        compute: Device and precision.
    """

    purpose: str
    digest: str
    compute: str
    seconds: float
    seconds_low: float
    seconds_high: float


Line = TypeVar("Line", Row, CostRow, StepRow)


def read_rows(path: Path, kind: type[Line]) -> list[Line]:
    """Rows measured so far; none if there is no file. A half-written last line is cut off.

    Raises:
        InputError: The file is not a table of this version of the benchmark.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if complete != content:
        with path.open("r+b") as file:
            file.truncate(len(complete))
    reader = csv.DictReader(io.StringIO(complete.decode("utf-8")))
    if reader.fieldnames is None:
        return []
    if list(reader.fieldnames) != _columns(kind):
        raise InputError(f"{path} has other columns than this version writes: move it away")
    try:
        return [
            kind(
                **{
                    f.name: f.type(line[f.name])  # type: ignore[operator]
                    for f in fields(kind)
                }
            )
            for line in reader
        ]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}): move it away") from error


def append_row(path: Path, row: Line) -> None:
    """Add one line in a single write, on disk before this returns, so a stop loses nothing.

    Raises:
        InputError: The file cannot be written.
    """
    header = not path.exists() or path.stat().st_size == 0
    try:
        with path.open("ab", buffering=0) as file:
            file.write(_lines([row], type(row), header=header))
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def write_rows(path: Path, rows: Sequence[Line], kind: type[Line]) -> None:
    """Write a whole table.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        with complete_file(path) as file:
            file.write(_lines(rows, kind, header=True))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _columns(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def _lines(rows: Sequence[Line], kind: type[Line], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(kind), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode("utf-8")
