"""The table of `photograph_networks.py`."""

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

WAYS = ("kspace-crop", "hamming", "averaged", "bicubic", "blurred-averaged")
INTERPOLATIONS = ("zero-filling", "cubic B-spline")
TOTAL_VARIATION = "total variation"
COLUMNS = "path dataset subject contrast way scale method filtered psnr ssim seconds".split()
KEY = ("path", "way", "scale", "method", "filtered")
Row = dict[str, str]
Key = tuple[str, ...]


def read_rows(table: Path) -> dict[Key, Row]:
    rows = csv.DictReader(table.read_text("utf-8").splitlines())
    return {tuple(row[name] for name in KEY): row for row in rows}


def is_ours(method: str) -> bool:
    return method.startswith(("ICONet", "mri-"))


def markdown(rows: dict[Key, Row]) -> Iterator[str]:
    """The best of each kind beside ICONet, then every method."""
    for scale in sorted({row["scale"] for row in rows.values()}):
        of_scale = [row for row in rows.values() if row["scale"] == scale]
        pairs = list(dict.fromkeys((row["method"], row["filtered"]) for row in of_scale))
        yield from (f"\n### {scale}x, the best of each kind\n", *heading("dB"))
        ours = ("ICONet", "mri-any-x2") if scale == "2" else ("ICONet",)
        for name, (what, kind) in itertools.product(ours, kinds(pairs).items()):
            cells = [best(of_scale, way, name, kind) for way in WAYS]
            yield f"| {name} minus {what} | " + " | ".join(cells) + " |"
        yield from (f"\n### {scale}x, all methods\n", *heading("dB / SSIM"))
        for method, told in pairs:
            cells = [cell(matched(of_scale, way, method, told, "ICONet")) for way in WAYS]
            if method == "ICONet":
                ours_rows = [select(of_scale, way, method, told) for way in WAYS]
                cells = [f"{by_set(r, 'psnr'):.2f} / {by_set(r, 'ssim'):.3f}" for r in ours_rows]
            start = method if method == "ICONet" else f"ICONet minus {named(method, told)}"
            yield f"| {start} | " + " | ".join(cells) + " |"


def heading(unit: str) -> tuple[str, str]:
    return f"| {unit} | " + " | ".join(WAYS) + " |", "|---|" + "--:|" * len(WAYS)


def named(method: str, told: str) -> str:
    return method + (", told" if told == "1" else "")


def kinds(pairs: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Methods and whether they are told, by kind."""
    classical = (*INTERPOLATIONS, TOTAL_VARIATION)
    networks = [p for p in pairs if p[0] not in classical and not is_ours(p[0])]
    return {
        "the better interpolation": [pair for pair in pairs if pair[0] in INTERPOLATIONS],
        "total variation, told": [pair for pair in pairs if pair[0] == TOTAL_VARIATION],
        "networks for photographs": [pair for pair in networks if pair[1] == "0"],
        "the same, told": [pair for pair in networks if pair[1] == "1"],
    }


def select(rows: list[Row], way: str, method: str, told: str) -> list[Row]:
    wanted = (way, method, told)
    return [row for row in rows if (row["way"], row["method"], row["filtered"]) == wanted]


def matched(rows: list[Row], way: str, method: str, told: str, ours: str) -> list[Row]:
    """Rows of a method, with what ours has more on the same slices."""
    mine = {row["path"]: row for row in select(rows, way, ours, "0")}
    found = []
    for row in select(rows, way, method, told):
        if row["path"] in mine:
            gain = {k: str(float(mine[row["path"]][k]) - float(row[k])) for k in ("psnr", "ssim")}
            found.append(row | gain)
    return found


def best(rows: list[Row], way: str, ours: str, kind: list[tuple[str, str]]) -> str:
    """The least gain over a kind's methods, the worst scan's, and which method that is.

    Methods that took fewer slices than others of their kind are left to the other table.
    """
    measured = [(named(*pair), matched(rows, way, *pair, ours)) for pair in kind]
    most = max((len(gains) for _, gains in measured), default=0)
    found = [
        (by_set(gains, "psnr"), name, min(float(row["psnr"]) for row in gains))
        for name, gains in measured
        if gains and len(gains) == most
    ]
    if not found:
        return ""
    gain, name, least = min(found)
    text = f"{gain:+.2f} ({least:+.2f}, {name.removesuffix(', told')})"
    return f"**{text}**" if gain < 0 else text


def cell(gains: list[Row]) -> str:
    """Mean gain in dB (that of the worst scan) and in SSIM, bold where it is none."""
    if not gains:
        return ""
    gain, least = by_set(gains, "psnr"), min(float(row["psnr"]) for row in gains)
    text = f"{gain:+.2f} ({least:+.2f}) / {by_set(gains, 'ssim'):+.3f}"
    return f"**{text}**" if gain < 0 else text


def by_set(rows: list[Row], what: str) -> float:
    """The mean of the data sets' means."""
    sets = defaultdict(list)
    for row in rows:
        sets[row["dataset"], row["contrast"]].append(float(row[what]))
    return mean(mean(values) for values in sets.values())


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
