"""What `networks.py` writes from what it measured: a table with time and accuracy, two figures."""

import csv
import statistics
from pathlib import Path

from iconet.network import SIZES

SCORES = Path(__file__).parents[1] / "docs/benchmark/peers/benchmark.csv"
CASE = ("network", "runtime", "threads", "batch", "side")


def psnr(condition: str) -> dict[str, float]:
    """Mean foreground PSNR over the test subjects of ds002748, and seeds, by network."""
    subjects: dict[str, list[float]] = {}
    with SCORES.open(newline="") as file:
        for row in csv.DictReader(file):
            if (row["condition"], row["dataset"]) == (condition, "ds002748"):
                subjects.setdefault(row["method"], []).append(float(row["psnr_foreground"]))
    means = {name: statistics.mean(values) for name, values in subjects.items()}
    # The recipe's ICONet is of this size.
    return {**means, "base": means["iconet"]} if "iconet" in means else means


def table(rows: list[dict], scale: int) -> str:
    tasks = [psnr(f"{task}-x{scale}") for task in ("super-resolution", "joint")]
    found = {tuple(row[k] for k in CASE): row for row in rows}
    lines = [
        "| network | runtime | threads | batch | side | ms | quartiles | to EDSR-baseline "
        "| us a pixel | to 256 | peak MB | PSNR, dB | undersampled |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (name, *case), row in found.items():
        batch, side = int(row["batch"]), int(row["side"])
        seconds = float(row["seconds"])
        edsr = found.get(("edsr-baseline", *case))
        small = found.get((name, *case[:3], "256"))
        pixel = seconds / (batch * side**2)
        share = f"{seconds / float(edsr['seconds']):.2f}" if edsr else ""
        growth = f"{256**2 * batch * pixel / float(small['seconds']):.2f}" if small else ""
        scores = " | ".join(f"{task[name]:.2f}" if name in task else "" for task in tasks)
        lines.append(
            f"| {name} | {' | '.join(case)} | {1e3 * seconds:.1f} "
            f"| {1e3 * float(row['low']):.1f}-{1e3 * float(row['high']):.1f} | {share} "
            f"| {1e6 * pixel:.3f} | {growth} | {row['megabytes']} | {scores} |"
        )
    return "\n".join(lines) + "\n"


def draw(path: Path, rows: list[dict], *, per_pixel: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in rows if (row["batch"], row["threads"]) == ("1", "1")]
    kinds = list(dict.fromkeys(row["runtime"] for row in rows))
    figure = Figure(figsize=(4.4 * len(kinds), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    names = list(dict.fromkeys(row["network"] for row in rows))
    for axes, kind in zip(
        figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True
    ):
        for number, name in enumerate(names):
            points = sorted(
                (int(row["side"]), float(row["seconds"]))
                for row in rows
                if (row["network"], row["runtime"]) == (name, kind)
            )
            style = "o-" if name in SIZES else "s--"
            values = [1e6 * t / s**2 if per_pixel else t for s, t in points]
            sides = [s for s, _ in points]
            axes.plot(sides, values, style, color=f"C{number}", label=name, markersize=4)
        axes.set(xscale="log", yscale="log", title=kind, xlabel="side of the slice (pixels)")
        axes.set_xticks(sides, map(str, sides))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    first = figure.axes[0]
    first.set_ylabel("microseconds a pixel" if per_pixel else "seconds a slice")
    first.legend(fontsize=8)
    figure.savefig(path, dpi=110)
