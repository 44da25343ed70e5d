"""The table of scans: which subject is for training, validation and test."""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from iconet.errors import InputError
from iconet.files import complete_file

COLUMNS = ("dataset", "subject", "split", "path", "contrast", "sharp_plane")
SITE = "site"  # a column more, of tables that we write: the hospital, where a layout tells


def assign(subjects: Iterable[str], *, train: float, validation: float) -> dict[str, str]:
    """The split of every subject, decided by a hash of its name.

    Nothing else plays a part, so a subject that is added moves no other one (but in a handful of
    subjects, where every split gets at least one as far as there are enough).

    Args:
        subjects: Names; repeated ones count once.
        train: Share for training.
        validation: Share for validation; the rest is for test.
    """
    ordered = sorted(set(subjects), key=_position)
    positions = [_position(subject) for subject in ordered]
    count, tests = len(ordered), int(train + validation < 1 and len(ordered) > 2)
    first = sum(position < train for position in positions)
    first = min(max(first, 1), max(1, count - 1 - tests))
    second = sum(position < train + validation for position in positions)
    second = min(max(second, first + 1), count - tests)
    return {
        subject: "train" if i < first else "validation" if i < second else "test"
        for i, subject in enumerate(ordered)
    }


def _position(subject: str) -> float:
    """A number in [0, 1) that only the name decides, the same on every machine."""
    return int.from_bytes(hashlib.sha256(os.fsencode(subject)).digest()[:6]) / 2**48


def read_splits(
    root: Path, splits: str | Path | Sequence[str | Path], split: str
) -> list[dict[str, str]]:
    """Rows of one split in a table of scans, or in several.

    Args:
        root: Folder that the tables' paths are relative to.
        splits: Name of a table in that folder, or its absolute path: a CSV with the columns
            dataset, subject, split, path, contrast, sharp_plane. Or several of them.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        InputError: If a table is missing or unreadable, lacks something or has a subject in two
            splits, or if none has such a split.
    """
    named = [splits] if isinstance(splits, str | Path) else splits
    tables = [root / table for table in named]
    splits_of: dict[tuple[str, str], str] = {}
    chosen = []
    for table in tables:
        for row in _complete_rows(table):
            if splits_of.setdefault((row["dataset"], row["subject"]), row["split"]) != row["split"]:
                raise InputError(
                    f"{table}: subject '{row['subject']}' of '{row['dataset']}' is in two splits; "
                    "keep all scans of a person in one"
                )
            if row["split"] == split:
                chosen.append(row)
    if not chosen:
        raise InputError(f"{tables[-1]}: no scan has split '{split}'; mark some")
    return chosen


def _complete_rows(table: Path) -> list[dict[str, str]]:
    """All rows of a table of scans, with a value in every column."""
    rows = read_table(table)
    missing = sorted(set(COLUMNS) - set(rows[0] if rows else ()))
    if missing:
        raise InputError(f"{table}: the table lacks {', '.join(missing)}; add the column(s)")
    for number, row in enumerate(rows, start=1):
        if any(row[column] is None for column in COLUMNS):
            raise InputError(f"{table}: scan {number} lacks values at its end; complete its row")
    return rows


def read_table(table: Path) -> list[dict[str, str]]:
    """All rows of a CSV table.

    Raises:
        InputError: If it is missing or is not a CSV table.
    """
    if not table.is_file():
        raise InputError(f"{table}: no such table of scans; set data.root to its folder")
    try:
        # With or without the mark that spreadsheets put first.
        with table.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a readable CSV table ({error}); save it again") from None


def write_table(rows: list[dict[str, str]], table: Path) -> None:
    """Write a table that `read_splits` reads; complete, or as it was before.

    Raises:
        InputError: If the folder cannot be written to.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, SITE], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        # The processes of one training on several GPUs all write the same table.
        with complete_file(table) as file:
            file.write(text.getvalue().encode("utf-8"))
    except UnicodeEncodeError as error:
        name = ascii(error.object[max(0, error.start - 20) : error.end])
        raise InputError(f"{table}: a file's name ({name}) is not UTF-8; rename it") from None
    except OSError as error:
        raise InputError(
            f"{table}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from None
