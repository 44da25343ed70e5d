"""Two charts of a group: accuracy against time, and every subject's value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iconet.evaluation.table import Group

FOCUS_COLOUR = "#d1495b"
OTHER_COLOUR = "#30638e"


def accuracy_against_time(
    path: Path, group: Group, milliseconds: Mapping[str, float], focus: str | None
) -> None:
    """Mean foreground PSNR over the time of one slice, a point a network.

    Args:
        path: Picture to write.
        group: The scores.
        milliseconds: Of each network; methods that are not in it are left out.
        focus: Drawn in another colour.
    """
    figure, axes = _chart(6.4, group)
    for score in group.scores:
        if score.method in milliseconds:
            place = (milliseconds[score.method], score.mean("PSNR fg"))
            axes.plot(*place, "o", color=_colour(score.method, focus))
            axes.annotate(score.method, place, (6, 4), textcoords="offset points", fontsize=9)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelsize=7)
    axes.margins(x=0.2, y=0.12)
    axes.set_xlabel("time of a slice of 128 x 128 low-resolution pixels (ms, one CPU thread)")
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


def subjects(path: Path, group: Group, focus: str | None) -> None:
    """Foreground PSNR of every subject as a point, a column a method, with a bar at the mean.

    Args:
        path: Picture to write.
        group: The scores.
        focus: Drawn in another colour.
    """
    figure, axes = _chart(1.6 + 0.75 * len(group.scores), group)
    names = list(group.scores[0].subjects)
    # The same subject stands at the same place of every column.
    offsets = np.linspace(-0.25, 0.25, len(names)) if len(names) > 1 else np.zeros(1)
    for column, score in enumerate(group.scores):
        values = [score.subjects[name]["PSNR fg"] for name in names]
        colour = _colour(score.method, focus)
        axes.plot(column + offsets, values, "o", color=colour, markersize=4, alpha=0.8)
        axes.hlines(score.mean("PSNR fg"), column - 0.35, column + 0.35, color=colour)
    ticks = [score.method for score in group.scores]
    axes.set_xticks(range(len(ticks)), ticks, rotation=40, ha="right", fontsize=9)
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)


def _chart(width: float, group: Group) -> tuple[Any, Any]:
    """A figure of so many inches and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_ylabel("foreground PSNR (dB)")
    axes.set_title(group.title, fontsize=11)
    return figure, axes


def _colour(method: str, focus: str | None) -> str:
    return FOCUS_COLOUR if method == focus else OTHER_COLOUR
