"""Measured rows to Markdown tables, one a data set and contrast."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from iconet.evaluation.results import Row
from iconet.evaluation.statistics import bootstrap_mean, paired_wilcoxon

BASELINES = ("zero-filling", "cubic")
HEADER = [
    "scale",
    "method",
    "PSNR fg",
    "SSIM fg",
    "PSNR",
    "SSIM",
    "NMSE",
    "HaarPSI",
    "over zero-filling (dB)",
    "p",
    "over cubic (dB)",
    "above both, PSNR",
    "above both, SSIM",
    "ms/slice",
]


def markdown_tables(rows: Sequence[Row]) -> str:
    """Means over subjects; a subject with several volumes of a contrast counts once, by its mean.

    "Above both" counts the subjects on which a trained model is above zero-filling and above cubic
    interpolation, inside the foreground.
    """
    parts = []
    for dataset, contrast in dict.fromkeys((row.dataset, row.contrast) for row in rows):
        chosen = [row for row in rows if (row.dataset, row.contrast) == (dataset, contrast)]
        subjects = len({row.subject for row in chosen})
        volumes = len({row.path for row in chosen})
        lines = [
            line
            for scale in dict.fromkeys(row.scale for row in chosen)
            for line in _lines([row for row in chosen if row.scale == scale])
        ]
        title = f"{dataset}, {contrast}: {_count(subjects, 'subject')}, {_count(volumes, 'volume')}"
        parts.append(f"## {title}\n\n{_markdown([HEADER, *lines])}")
    return "\n\n".join(parts)


def _lines(rows: list[Row]) -> list[list[str]]:
    """Lines of one data set, contrast and scale; the methods in the recipe's order."""
    by_method: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_method.setdefault((row.method, row.weights), []).append(row)
    return [_line(own, by_method) for own in by_method.values()]


def _line(own: list[Row], by_method: dict[tuple[str, str], list[Row]]) -> list[str]:
    method, is_model = own[0].method, bool(own[0].weights)
    baselines = {name: by_method[name, ""] for name in BASELINES if (name, "") in by_method}
    line = [f"{own[0].scale}x", f"**{method}**" if is_model else method]
    for name, digits in (
        ("psnr_foreground", 2),
        ("ssim_foreground", 4),
        ("psnr", 2),
        ("ssim", 4),
        ("nmse", 5),
        ("haarpsi", 4),
    ):
        line.append(f"{fmean(_per_subject(own, name).values()):.{digits}f}")
    zero_filling, cubic = (
        _gain(own, baselines[name]) if name in baselines and name != method else ("", "")
        for name in BASELINES
    )
    line += [*zero_filling, cubic[0]]
    for name in ("psnr_foreground", "ssim_foreground"):
        compare = is_model and len(baselines) == len(BASELINES)
        line.append(_wins(own, list(baselines.values()), name) if compare else "")
    line.append(f"{median(row.ms_per_slice for row in own):.1f}")
    return line


def _gain(own: list[Row], baseline: list[Row]) -> tuple[str, str]:
    ours, theirs = (_per_subject(rows, "psnr_foreground") for rows in (own, baseline))
    gain = bootstrap_mean([ours[subject] - theirs[subject] for subject in ours])
    if len(ours) == 1:
        return f"{gain.mean:+.2f}", ""
    p = paired_wilcoxon(list(ours.values()), [theirs[subject] for subject in ours])
    return f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]", f"{p:.2g}"


def _wins(own: list[Row], baselines: list[list[Row]], name: str) -> str:
    ours = _per_subject(own, name)
    others = [_per_subject(rows, name) for rows in baselines]
    won = sum(all(ours[subject] > other[subject] for other in others) for subject in ours)
    return f"{won}/{len(ours)}"


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
