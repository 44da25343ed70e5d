"""Measured rows to Markdown tables, one a data set and contrast."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from iconet.evaluation.results import Row
from iconet.evaluation.statistics import bootstrap_mean, paired_wilcoxon

MEASURES = {
    "PSNR fg": ("psnr_foreground", 2),
    "SSIM fg": ("ssim_foreground", 4),
    "PSNR": ("psnr", 2),
    "SSIM": ("ssim", 4),
    "NMSE": ("nmse", 5),
    "HaarPSI": ("haarpsi", 4),
}
"""Columns of means, with their digits."""
BASELINES = ("zero-filling", "bicubic", "cubic-b-spline")
"""Over which the gains of the models are stated."""
COMPARED = ("PSNR fg", "SSIM fg", "PSNR", "SSIM")
"""In which a model is held against every interpolation, subject by subject."""

Methods = dict[tuple[str, str], list[Row]]
"""Rows of one data set, contrast and scale, by method and weights, in the recipe's order."""


def markdown_tables(rows: Sequence[Row]) -> str:
    """Means over subjects, then what the models gain over interpolation.

    A subject with several volumes of a contrast counts once, by its mean. Gains are in foreground
    PSNR. "Higher than all" counts the subjects on which a model is above every interpolation that
    was measured.
    """
    parts = []
    for dataset, contrast in dict.fromkeys((row.dataset, row.contrast) for row in rows):
        chosen = [row for row in rows if (row.dataset, row.contrast) == (dataset, contrast)]
        subjects = len({row.subject for row in chosen})
        volumes = len({row.path for row in chosen})
        scales: dict[int, Methods] = {}
        for row in chosen:
            methods = scales.setdefault(row.scale, {})
            methods.setdefault((row.method, row.weights), []).append(row)
        means = [line for scale, by in scales.items() for line in _means(scale, by)]
        gains = [line for scale, by in scales.items() for line in _gains(scale, by)]
        title = f"{dataset}, {contrast}: {_count(subjects, 'subject')}, {_count(volumes, 'volume')}"
        parts += [
            f"## {title}",
            _markdown([["scale", "method", *MEASURES, "ms/slice"], *means]),
        ]
        if gains:
            over = [cell for name in BASELINES for cell in (f"over {name} (dB)", "p")]
            higher = [f"{name} higher than all" for name in COMPARED]
            parts.append(_markdown([["scale", "method", *over, *higher], *gains]))
    return "\n\n".join(parts)


def _means(scale: int, methods: Methods) -> list[list[str]]:
    lines = []
    for (method, weights), rows in methods.items():
        line = [f"{scale}x", f"**{method}**" if weights else method]
        for name, digits in MEASURES.values():
            line.append(f"{fmean(_per_subject(rows, name).values()):.{digits}f}")
        lines.append([*line, f"{median(row.ms_per_slice for row in rows):.1f}"])
    return lines


def _gains(scale: int, methods: Methods) -> list[list[str]]:
    interpolations = {name: rows for (name, weights), rows in methods.items() if not weights}
    lines = []
    for (method, weights), rows in methods.items():
        if not weights:
            continue
        line = [f"{scale}x", f"**{method}**"]
        for name in BASELINES:
            line += _gain(rows, interpolations[name]) if name in interpolations else ["", ""]
        for heading in COMPARED:
            line.append(_wins(rows, list(interpolations.values()), MEASURES[heading][0]))
        lines.append(line)
    return lines


def _gain(own: list[Row], baseline: list[Row]) -> list[str]:
    ours, theirs = (_per_subject(rows, "psnr_foreground") for rows in (own, baseline))
    gain = bootstrap_mean([ours[subject] - theirs[subject] for subject in ours])
    if len(ours) == 1:
        return [f"{gain.mean:+.2f}", ""]
    p = paired_wilcoxon(list(ours.values()), [theirs[subject] for subject in ours])
    return [f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]", f"{p:.2g}"]


def _wins(own: list[Row], interpolations: list[list[Row]], name: str) -> str:
    if not interpolations:
        return ""
    ours = _per_subject(own, name)
    others = [_per_subject(rows, name) for rows in interpolations]
    won = sum(all(ours[subject] > other[subject] for other in others) for subject in ours)
    return f"{won} of {len(ours)}"


def _per_subject(rows: list[Row], name: str) -> dict[str, float]:
    subjects: dict[str, list[float]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(getattr(row, name))
    return {subject: fmean(values) for subject, values in subjects.items()}


def _markdown(lines: list[list[str]]) -> str:
    """Columns padded, so that the table also reads well in a terminal; numbers right-aligned."""
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(lines[0]))]

    def text(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if i < 2 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([text(lines[0]), text(rule), *map(text, lines[1:])])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
