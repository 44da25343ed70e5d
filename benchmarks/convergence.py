"""Validation curves of `iconet benchmark benchmark-convergence`, and whether they are flat.

    python benchmarks/convergence.py FOLDER [--output docs/benchmark/convergence]

FOLDER is the output of the benchmark. Writes curves.png, a panel for each condition, PSNR on
validation scans against the time that the steps take on one core; prints for each run how much its
last quarter gained. Unfinished runs are shown as far as they have come.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib import pyplot
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

COLOURS = {"iconet": "#d1495b", "edsr-baseline": "#30638e", "rcan": "#66a182"}


class Curve(NamedTuple):
    """A run as it was validated: `minutes` of a core, foreground PSNR in dB, mean of data sets."""

    condition: str
    network: str
    steps: list[int]
    minutes: list[float]
    psnr: list[float]

    @property
    def last_quarter(self) -> float:
        """What the last quarter of the steps gained, in dB."""
        before = [
            v for s, v in zip(self.steps, self.psnr, strict=True) if s <= 0.75 * self.steps[-1]
        ]
        return max(self.psnr) - max(before)


def curves(folder: Path) -> list[Curve]:
    with (folder / "step-times.csv").open() as file:
        seconds = {row["purpose"]: float(row["seconds"]) for row in csv.DictReader(file)}
    found = []
    for events in sorted(folder.glob("runs/*/tensorboard")):
        condition, network, *_ = events.parent.name.split("_")
        log = EventAccumulator(str(events))
        log.Reload()
        if "validation/mean" not in log.Tags()["scalars"]:
            continue
        points = {each.step: each.value for each in log.Scalars("validation/mean")}
        steps = sorted(points)
        if len(steps) < 4:
            continue
        each = seconds[f"benchmark: {network} under {condition}"] / 60
        minutes = [step * each for step in steps]
        found.append(Curve(condition, network, steps, minutes, [points[step] for step in steps]))
    return found


def draw(found: list[Curve], path: Path) -> None:
    conditions = list(dict.fromkeys(curve.condition for curve in found))
    figure, panels = pyplot.subplots(
        1, len(conditions), figsize=(5.2 * len(conditions), 4), squeeze=False, layout="constrained"
    )
    for panel, condition in zip(panels[0], conditions, strict=True):
        for curve in found:
            if curve.condition == condition:
                colour = COLOURS.get(curve.network)
                panel.plot(curve.minutes[1:], curve.psnr[1:], color=colour, label=curve.network)
        panel.set_title(condition)
        panel.set_xlabel("minutes of a core")
        panel.set_ylabel("foreground PSNR of validation scans (dB)")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/benchmark/convergence"))
    options = parser.parse_args()
    mpl.use("agg")
    found = curves(options.folder)
    options.output.mkdir(parents=True, exist_ok=True)
    draw(found, options.output / "curves.png")
    print("| condition | network | steps | minutes of a core | validation | last quarter |")
    print("|---|---|--:|--:|--:|--:|")
    for curve in found:
        print(
            f"| {curve.condition} | {curve.network} | {curve.steps[-1]} | {curve.minutes[-1]:.0f} "
            f"| {max(curve.psnr):.2f} | {curve.last_quarter:+.2f} |"
        )


if __name__ == "__main__":
    main()
