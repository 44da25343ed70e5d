"""The benchmark's rows on disk: one line a volume and method, written as soon as it is measured."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from iconet.errors import InputError
from iconet.evaluation.metrics import CONVENTION

CONVENTION_ID = hashlib.sha256(CONVENTION.encode()).hexdigest()[:8]
"""Rows measured under another convention are not comparable, so they are not reused."""


class Key(NamedTuple):
    """What makes a measurement the same measurement."""

    dataset: str
    subject: str
    path: str
    scale: int
    degradation: str
    method: str
    weights: str
    compute: str
    truth: str
    convention: str


@dataclass(frozen=True)
class Row:
    """One volume, one method.

    Attributes:
        weights: SHA-256 of a model's file; empty for an interpolation.
        compute: Device and precision that a model ran on; empty for an interpolation.
        truth: Shape and mean of what was measured against, so that a row does not outlive a change
            of the scan or of how the truth is made of it.
    """

    dataset: str
    subject: str
    path: str
    contrast: str
    scale: int
    degradation: str
    method: str
    weights: str
    compute: str
    truth: str
    psnr_foreground: float
    ssim_foreground: float
    nmse_foreground: float
    psnr: float
    ssim: float
    nmse: float
    haarpsi: float
    slices: int
    ms_per_slice: float
    convention: str = CONVENTION_ID

    @property
    def key(self) -> Key:
        """The columns by which a finished measurement is recognised."""
        return Key(*(getattr(self, name) for name in Key._fields))


COLUMNS = [field.name for field in fields(Row)]


def read_rows(path: Path) -> list[Row]:
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
    if list(reader.fieldnames) != COLUMNS:
        raise InputError(f"{path} has other columns than this version writes: move it away")
    try:
        return [_row(line) for line in reader]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}): move it away") from error


def append_row(path: Path, row: Row) -> None:
    """Add one line in a single write, on disk before this returns, so a stop loses nothing.

    Raises:
        InputError: The file cannot be written.
    """
    header = not path.exists() or path.stat().st_size == 0
    try:
        with path.open("ab", buffering=0) as file:
            file.write(_lines([row], header=header))
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write a whole table.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.write_bytes(_lines(rows, header=True))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _lines(rows: list[Row], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode("utf-8")


def _row(line: dict[str, str]) -> Row:
    kinds = {"int": int, "float": float, "str": str}
    values: dict[str, Any] = {f.name: kinds[str(f.type)](line[f.name]) for f in fields(Row)}
    return Row(**values)
