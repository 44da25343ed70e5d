"""Measured rows to Markdown tables: one section a condition, its groups of subjects never mixed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from iconet.evaluation.results import CostRow, Row
from iconet.evaluation.statistics import bootstrap_mean, paired_wilcoxon

MEASURES = {
    "PSNR fg": ("psnr_foreground", 2),
    "SSIM fg": ("ssim_foreground", 4),
    "PSNR": ("psnr", 2),
    "SSIM": ("ssim", 4),
    "NMSE": ("nmse", 5),
    "HaarPSI": ("haarpsi", 4),
    "sFRC": ("sfrc", 3),
}
"""Columns of means, with their digits."""
SMALLER = ("NMSE", "sFRC")
"""In which less is better."""
COMPARED = ("PSNR fg", "SSIM fg", "PSNR", "SSIM")
"""In which the focus is held against the others. More is better in all of them."""


@dataclass(frozen=True)
class Scores:
    """One method on the subjects of a group.

    Attributes:
        method: Its name.
        learned: Whether it is a network.
        seeds: Number of training runs that it is the mean of; 0 if it was not trained here.
        subjects: Subject to column (of `MEASURES`) to value: means over the subject's volumes and
            over seeds.
        spread: Column to the standard deviation, over seeds, of the mean over subjects; NaN with
            one seed.
    """

    method: str
    learned: bool
    seeds: int
    subjects: dict[str, dict[str, float]]
    spread: dict[str, float]

    def mean(self, column: str) -> float:
        """Mean over subjects."""
        return fmean(values[column] for values in self.subjects.values())


@dataclass(frozen=True)
class Group:
    """What is compared: all methods on the same volumes, degraded in the same way.

    Attributes:
        scores: Methods that were measured on every volume, the highest foreground PSNR first.
        left_out: Methods (with their seeds) that have not been measured on every volume yet.
    """

    condition: str
    degradation: str
    dataset: str
    contrast: str
    volumes: int
    scores: list[Scores]
    left_out: list[str]

    @property
    def title(self) -> str:
        """For headings and figures."""
        return f"{self.condition}, {self.degradation}: {self.dataset}, {self.contrast}"

    def of(self, name: str | None) -> Scores | None:
        """The scores of the method of that name."""
        return next((s for s in self.scores if s.method == name), None)

    def best_peer(self, focus: str, column: str) -> Scores | None:
        """The network with the highest mean beside the focus."""
        peers = [s for s in self.scores if s.learned and s.method != focus]
        return max(peers, key=lambda s: s.mean(column), default=None)


def groups(rows: Sequence[Row]) -> list[Group]:
    """Sort rows into groups, in the order in which their first rows come."""
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        key = (row.condition, row.degradation, row.dataset, row.contrast)
        found.setdefault(key, []).append(row)
    return [_group(key, chosen) for key, chosen in found.items()]


def _group(key: tuple[str, str, str, str], rows: list[Row]) -> Group:
    volumes = {row.path for row in rows}
    methods: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        methods.setdefault(row.method, {}).setdefault(row.seed, []).append(row)
    scores, left_out = [], []
    for method, seeds in methods.items():
        complete = {s: own for s, own in seeds.items() if {row.path for row in own} == volumes}
        left_out += [f"{method} seed {s}".removesuffix(" seed ") for s in seeds.keys() - complete]
        if complete:
            scores.append(_scores(method, list(complete.values())))
    scores.sort(key=lambda s: -s.mean("PSNR fg"))
    return Group(*key, len(volumes), scores, sorted(left_out))


def _scores(method: str, seeds: list[list[Row]]) -> Scores:
    by_seed = [_per_subject(rows) for rows in seeds]
    names = by_seed[0].keys()
    together = {
        subject: {c: fmean(values[subject][c] for values in by_seed) for c in MEASURES}
        for subject in names
    }
    spread = {c: float("nan") for c in MEASURES}
    if len(seeds) > 1:
        spread = {c: stdev(fmean(v[s][c] for s in names) for v in by_seed) for c in MEASURES}
    first = seeds[0][0]
    return Scores(method, bool(first.weights), len(seeds) if first.seed else 0, together, spread)


def _per_subject(rows: list[Row]) -> dict[str, dict[str, float]]:
    subjects: dict[str, list[Row]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    return {
        subject: {c: fmean(getattr(row, name) for row in own) for c, (name, _) in MEASURES.items()}
        for subject, own in subjects.items()
    }


Focus = Mapping[str, str | None]
"""Condition to the name of the method that the others are compared with there."""


def overview(chosen: Sequence[Group], focus: Focus) -> str:
    """One line a group: the rank of the focus, and its lead over the best other network.

    Empty where nothing can be compared. The best other network is chosen by the measure at hand.
    """
    lines = []
    for group in chosen:
        name = focus[group.condition]
        own = group.of(name)
        if own is None or name is None or group.best_peer(name, "PSNR fg") is None:
            continue
        line = [group.condition, group.degradation, f"{group.dataset}, {group.contrast}"]
        line.append(str(len(own.subjects)))
        for column in COMPARED:
            peer = group.best_peer(name, column)
            assert peer is not None
            rank = 1 + sum(s.mean(column) > own.mean(column) for s in group.scores)
            line += [f"{rank} of {len(group.scores)}", peer.method, *_difference(own, peer, column)]
        lines.append(line)
    if not lines:
        return ""
    heads = [cell for c in COMPARED for cell in (f"{c}: rank", "best other", "lead", "p")]
    return markdown([["condition", "test", "data", "subjects", *heads], *lines], left=3)


def sections(
    chosen: Sequence[Group], focus: Focus, costs: Mapping[str, Mapping[str, CostRow]]
) -> str:
    """Means of every group, and the lead of the focus over every other method.

    Args:
        chosen: The groups.
        focus: Of every condition.
        costs: Condition to network to what it costs.
    """
    parts, condition = [], ""
    for group in chosen:
        if group.condition != condition:
            condition = group.condition
            parts.append(f"## {condition}")
            parts += _matrices([g for g in chosen if g.condition == condition])
        subjects = len(group.scores[0].subjects) if group.scores else 0
        counts = f"{_count(subjects, 'subject')}, {_count(group.volumes, 'volume')}"
        parts.append(f"### {group.title}, {counts}")
        if group.left_out:
            parts.append(f"Not measured on all volumes yet: {', '.join(group.left_out)}.")
        parts.append(_means(group, focus[condition], costs.get(condition, {})))
        if leads := _leads(group, focus[condition]):
            parts.append(leads)
    return "\n\n".join(parts)


def _means(group: Group, focus: str | None, costs: Mapping[str, CostRow]) -> str:
    heads = ["method", *MEASURES, "seeds", "parameters", "GMACs", "CPU ms", "MB"]
    with_gpu = any(not math.isnan(cost.gpu_ms) for cost in costs.values())
    lines = [[*heads, *(["GPU ms", "GPU MB"] if with_gpu else [])]]
    if not group.scores:
        return ""
    best = {c: min if c in SMALLER else max for c in MEASURES}
    best_values = {c: pick(s.mean(c) for s in group.scores) for c, pick in best.items()}
    for score in group.scores:
        line = [f"**{score.method}**" if score.method == focus else score.method]
        for column, (_, digits) in MEASURES.items():
            mean, spread = score.mean(column), score.spread[column]
            text = f"{mean:.{digits}f}"
            text = f"**{text}**" if mean == best_values[column] else text
            line.append(text if math.isnan(spread) else f"{text} ± {spread:.{digits}f}")
        line.append(str(score.seeds or ""))
        cost = costs.get(score.method)
        if cost:
            line += [f"{cost.parameters / 1e6:.2f} M", f"{cost.gmacs:.1f}"]
            line += [f"{cost.cpu_ms:.1f}", f"{cost.cpu_mb:.0f}"]
            line += [f"{cost.gpu_ms:.2f}", f"{cost.gpu_mb:.0f}"] if with_gpu else []
        lines.append([*line, *[""] * (len(lines[0]) - len(line))])
    return markdown(lines)


def _leads(group: Group, focus: str | None) -> str:
    own = group.of(focus)
    others = [s for s in group.scores if s.method != focus]
    if own is None or not others:
        return ""
    heads = [cell for c in COMPARED for cell in (c, "p")]
    lines = [[f"{focus} minus", *heads]]
    for other in others:
        cells = [cell for c in COMPARED for cell in _difference(own, other, c)]
        lines.append([other.method, *cells])
    return markdown(lines)


def _matrices(chosen: Sequence[Group]) -> list[str]:
    """Where a condition is tested in several ways: methods down, tests across, foreground PSNR."""
    parts = []
    for name in dict.fromkeys((group.dataset, group.contrast) for group in chosen):
        across = [group for group in chosen if (group.dataset, group.contrast) == name]
        if len(across) < 2:
            continue
        methods = dict.fromkeys(s.method for group in across for s in group.scores)
        lines = [["PSNR fg", *(group.degradation for group in across)]]
        for method in methods:
            scores = [group.of(method) for group in across]
            lines.append([method, *(f"{s.mean('PSNR fg'):.2f}" if s else "" for s in scores)])
        parts += [f"All tests on {name[0]}, {name[1]}:", markdown(lines)]
    return parts


def _difference(own: Scores, other: Scores, column: str) -> list[str]:
    """Mean over subjects with its interval, and p; a single subject has neither."""
    digits = MEASURES[column][1]
    ours = [own.subjects[s][column] for s in own.subjects]
    theirs = [other.subjects[s][column] for s in own.subjects]
    lead = bootstrap_mean([a - b for a, b in zip(ours, theirs, strict=True)])
    if len(ours) == 1:
        return [f"{lead.mean:+.{digits}f}", ""]
    interval = f"[{lead.low:+.{digits}f}, {lead.high:+.{digits}f}]"
    return [f"{lead.mean:+.{digits}f} {interval}", f"{paired_wilcoxon(ours, theirs):.2g}"]


def markdown(lines: list[list[str]], *, left: int = 1) -> str:
    """Columns padded, so that the table also reads well in a terminal; numbers right-aligned.

    Args:
        lines: Cells, the headings first.
        left: Number of columns, from the first, that hold text.
    """
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(lines[0]))]

    def text(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([text(lines[0]), text(rule), *map(text, lines[1:])])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
