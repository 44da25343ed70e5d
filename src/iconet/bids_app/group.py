"""What was made of all participants: a table, what its columns mean, and a page."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from iconet.bids_app.page import group_page
from iconet.bids_app.rows import COLUMNS, Row, missing_row, row_of, with_outliers
from iconet.errors import InputError
from iconet.files import write_text
from iconet.images import bids
from iconet.images.reading import suffix_of
from iconet.study.part import Part

NAME = "group_iconet"
PAGE = f"{NAME}.html"  # not index.html, which is that of `iconet upscale --html`
IGNORED = f"{NAME}.*"
"""Not of BIDS; its validator is told so."""


def write_group(dataset: Path, derivative: Path, part: Part, *, say: Callable[[str], None]) -> None:
    """Write the table and the page into a derivative.

    Args:
        dataset: That the derivative is of.
        derivative: Root of the results, which `iconet-bids ... participant` made.
        part: Which participants and sessions are meant.
        say: Called with what is missing, and what was written.

    Raises:
        InputError: Nothing was made of this dataset there, or it cannot be written.
    """
    if not (derivative / bids.DESCRIPTION).exists():
        raise InputError(
            f"{derivative}: no results of iconet there; run the level participant first"
        )
    bids.check_derivative(derivative, bids.link_to(dataset, derivative))
    scans, _ = part.of_dataset(dataset, bids.scans)
    rows = _rows(dataset, derivative, scans)
    if missing := [row for row in rows if row["status"] == "missing"]:
        say(f"{len(missing)} of {len(scans)} scans have no result: {_first(missing)}")
    rows = with_outliers(rows)
    lines = ["\t".join(COLUMNS), *("\t".join(row[name] for name in COLUMNS) for row in rows)]
    write_text("\n".join(lines) + "\n", derivative / f"{NAME}.tsv")
    write_text(json.dumps(COLUMNS, indent=2) + "\n", derivative / f"{NAME}.json")
    write_text(group_page(derivative.resolve().name, rows), derivative / PAGE)
    bids.pass_over(derivative, IGNORED)
    say(f"{derivative / NAME}.tsv, {derivative / PAGE}: {len(rows)} rows")


def _rows(dataset: Path, derivative: Path, scans: Sequence[Path]) -> list[Row]:
    """A row for each result, or for the scan that has none."""
    rows = []
    for scan in scans:
        source = scan.relative_to(dataset)
        made = [
            row_of(image, derivative, source, content["IconetReport"])
            for image, content in _results(derivative / source.parent, source)
        ]
        rows += made or [missing_row(source)]
    return rows


def _results(folder: Path, source: Path) -> Iterable[tuple[Path, dict]]:
    """The images that were made of a scan, with their sidecars."""
    ending = suffix_of(source)
    *entities, suffix = source.name[: -len(ending)].split("_")
    for image in sorted(folder.glob(f"{entities[0]}_*_{suffix}{ending}")):
        content = bids.sidecar_of(image)
        if isinstance(
            content.get("IconetReport"), dict
        ) and f"bids:raw:{source.as_posix()}" in content.get("Sources", []):
            yield image, content


def _first(missing: Sequence[Row]) -> str:
    names = [row["source"] for row in missing[:5]]
    more = len(missing) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
