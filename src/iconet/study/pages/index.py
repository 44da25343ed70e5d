"""The index of a study: every finished scan that has a page, and what failed.

It is made of what is on the disk, the record of the folder and the reports in it, so that several
processes write the same one and a later run lists what earlier ones made.
"""

import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import write_text
from iconet.images import bids
from iconet.study.find import INDEX, Task
from iconet.study.ledger import Ledger
from iconet.study.pages.findings import findings
from iconet.study.pages.html import GENERATOR, address, document, listing, text
from iconet.study.pages.scan_page import by, models
from iconet.study.report import NOTICE, without_folders

SCRIPT = "sort.js"

HEAD = 64_000
"""Bytes of a page that hold its thumbnail."""

MOST_PICTURES = 500
"""Scans with thumbnails; with more of them the index would be too large to open quickly."""

OFTEN, SHARE = 10.0, 0.02
"""Seconds between two indexes of a run that goes on, at least, and share of its time for them."""

THUMBNAIL = re.compile(r'<link rel="icon" href="(data:image/jpeg;base64,[A-Za-z0-9+/=]+)">')

COLUMNS = ("Scan", "Kind", "Voxels", "Model", "Consistency (dB)", "Findings", "Seconds", "Made")

UNREAD = "Its report is missing or damaged."


class Indexes:
    """The indexes of a run, written while it goes on and when it ends, however it does.

    Args:
        tasks: of the run; one whose output was given by its name is in no folder of results.
        overwrite: replace an index that iconet did not write.

    Raises:
        InputError: there is one, and it is not to be replaced.
    """

    def __init__(self, tasks: Sequence[Task], *, overwrite: bool) -> None:
        self.roots = {task.root: task.dataset for task in tasks if task.root is not None}
        self.failed: list[tuple[Task, str]] = []
        self._next = 0.0
        for root in self.roots:
            path = root / INDEX
            if path.exists() and not overwrite and GENERATOR not in _head(path):
                raise InputError(
                    f"{path}: is there already and not by iconet; move it, choose another"
                    " --output, or give --overwrite to replace it"
                )

    def __enter__(self) -> "Indexes":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        with suppress(InputError) if error is not None else nullcontext():
            self._write()

    def refresh(self, failed: Sequence[tuple[Task, str]]) -> None:
        """Write them in between, unless that was done a moment ago.

        Args:
            failed: scans that could not be used so far, and why.
        """
        start = time.monotonic()
        if start < self._next:
            return
        self.failed = [*failed]
        with suppress(InputError):  # at the end it is said
            self._write()
        took = time.monotonic() - start
        self._next = start + took + max(OFTEN, took / SHARE)

    def _write(self) -> None:
        for root, dataset in self.roots.items():
            write_index(root, dataset, [one for one in self.failed if one[0].root == root])


def write_index(root: Path, dataset: Path | None, failed: Sequence[tuple[Task, str]]) -> None:
    """Write the index of a folder of results, if there are any.

    Args:
        root: the folder.
        dataset: root of the BIDS dataset that it is derived from, if it is.
        failed: scans that could not be used in this run, and why.

    Raises:
        InputError: it cannot be written.
    """
    path, written = root / INDEX, None
    # Another process may finish a scan between our look and our writing, and its own index be
    # replaced by ours: who wrote last looks again.
    while rows := _rows(root, dataset):
        content = _document(rows, failed)
        if content == written:
            return
        written = content
        if dataset is not None:
            bids.pass_over(root, "*.html")
        if _text(path) != content:
            write_text(content, path)


def _rows(root: Path, dataset: Path | None) -> list[str]:
    """A row of the table for each finished scan with a page."""
    tasks = [
        Task(root, root / key, root, dataset)
        for key, known in sorted(Ledger(root).entries().items())
        if known[-1].get("files")
    ]
    shown = [task for task in tasks if task.page_path.exists()]
    return [_row(task, root, picture=len(shown) <= MOST_PICTURES) for task in shown]


def _row(task: Task, root: Path, *, picture: bool) -> str:
    match = THUMBNAIL.search(_head(task.page_path)) if picture else None
    image = f'<img src="{match[1]}" alt="">' if match else ""
    link = f'<a href="{address(task.page_path.relative_to(root))}">{text(task.key)}</a>'
    try:
        cells = _cells(task.read_report())
    except (InputError, ValueError, KeyError, TypeError, AttributeError):  # whatever is in it
        cells = [_cell() for _ in COLUMNS[1:]]
        cells[COLUMNS.index("Findings") - 1] = _cell(text(UNREAD), 1)
    name = f'<th scope="row" data-value="{text(task.key)}">{link}</th>'
    return f"<tr><td>{image}</td>{name}{''.join(cells)}</tr>"


def _cells(report: Mapping[str, Any]) -> list[str]:
    """All but the name: what is shown, and by what it is sorted."""
    before, after = report["input"], report["output"]
    kind = (report.get("kind") or {}).get("name") or "raw k-space"
    side = "spacing" if after["spacing"] else "shape"
    agreement = report.get("consistency") or {}
    psnr = agreement.get("psnr")
    exact = psnr is None and agreement.get("nmse") == 0
    found = findings(report)
    seconds = sum(report["seconds"].values())
    unit = "mm" if side == "spacing" else "pixels"
    return [
        _cell(text(kind), kind),
        _cell(f"{by(before[side])} &rarr;<br>{by(after[side], unit)}", math.prod(after["shape"])),
        _cell(text(models(report)), models(report)),
        _cell("exact" if exact else "" if psnr is None else f"{psnr:.1f}", 1e9 if exact else psnr),
        _cell(f"<details><summary>{len(found)}</summary>{listing(found)}</details>", len(found))
        if found
        else _cell("0", 0),
        _cell(f"{seconds:.1f}", seconds),
        _cell(text(report["created"][:16].replace("T", " ")), report["created"]),
    ]


def _cell(shown: str = "", value: object = None) -> str:
    key = "" if value is None else f' data-value="{text(value)}"'
    return f"<td{key}>{shown}</td>"


def _document(rows: Sequence[str], failed: Sequence[tuple[Task, str]]) -> str:
    heads = "".join(
        f'<th scope="col"><button type="button">{text(name)}</button></th>' for name in COLUMNS
    )
    body = [
        "<header><h1>Upscaled scans</h1>"
        f"<p>{len(rows)} finished{f', {len(failed)} failed' if failed else ''}. A heading sorts by"
        f' its column; what is not known comes last.</p><p class="notice">{text(NOTICE)}</p>'
        "</header><main>",
        '<div class="wide"><table class="index"><thead><tr><td></td>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>",
    ]
    if failed:
        lines = "".join(
            f'<tr><th scope="row">{text(task.key)}</th><td>{text(_why(task, line))}</td></tr>'
            for task, line in failed
        )
        body.append(
            "<section><h2>Failed in the last run</h2>"
            f"<table><tbody>{lines}</tbody></table></section>"
        )
    return document("Upscaled scans", [*body, "</main>"], script=SCRIPT)


def _why(task: Task, line: str) -> str:
    """Why a scan failed, without its folders, which people name after patients."""
    return without_folders(line.removeprefix(f"{task.name}: "), task.source)


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(HEAD).decode("utf-8", "replace")


def _text(path: Path) -> str | None:
    return path.read_text("utf-8", errors="replace") if path.exists() else None
