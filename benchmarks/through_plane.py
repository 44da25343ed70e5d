"""Thin slices from thick ones on the test subjects: networks beside interpolation.

    python benchmarks/through_plane.py ../shared/data/splits.csv mri-slice-x2 mri-slice-x4

Every scan with nearly square pixels in all three planes is thickened along each of its axes (a
Gaussian profile, as `iconet degrade --axis` makes it) and made thin again; the factor is the
model's. The table of all volumes goes on where it stopped; weights that changed are measured anew.
"""

import argparse
import csv
import io
from collections import defaultdict
from pathlib import Path

import numpy as np

import iconet
from iconet.data.splits import read_splits
from iconet.data.volumes import square_planes
from iconet.evaluation.through_plane import BASELINES, ThroughPlane, compare_methods, to_text
from iconet.files import write_text
from iconet.images import read
from iconet.runtime.device import choose_compute
from iconet.upscaling.one_axis import enlarge_axis

COLUMNS = "dataset subject contrast axis factor method weights psnr ssim sharpness".split()
FLICKER = ["flicker_axis", "flicker_other_1", "flicker_other_2"]
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("splits", type=Path, help="table of scans")
    parser.add_argument("models", nargs="+", help="names or files of weights")
    parser.add_argument("--split", default="test")
    parser.add_argument("--axes", default="ijk", help="axes to thicken")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmark/through-plane"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    table = options.output / "through-plane.csv"
    rows: list[Row] = []
    if table.exists():
        rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    compute = choose_compute()
    networks = {name: iconet.load(name) for name in options.models}
    root = options.splits.parent
    for scan in read_splits(root, options.splits.name, options.split):
        if len(square_planes(root / scan["path"], scan["sharp_plane"])) < 3:
            continue
        truth = read(root / scan["path"]).array
        for axis in options.axes:
            for model, network in networks.items():
                about = {key: scan[key] for key in ("dataset", "subject", "contrast")}
                about |= {"axis": axis, "factor": str(network.scale)}
                there = [row for row in rows if about.items() <= row.items()]
                if any(row["weights"] == network.sha256 for row in there):
                    continue
                measured = compare_methods(
                    truth,
                    "ijk".index(axis),
                    network.scale,
                    {model: lambda v, a, _, n=network: enlarge_axis(v, a, n, compute=compute)},
                )
                rows = [row for row in rows if row not in there or row["method"] not in measured]
                for method, measures in measured.items():
                    weights = network.sha256 if method == model else ""
                    rows.append(about | as_cells(measures, axis, method, weights))
                write(rows, table)
                print(*rows[-1].values(), flush=True)
    text = summary(rows)
    print(text)
    (options.output / "tables.md").write_text(text, encoding="utf-8")


def as_cells(measures: ThroughPlane, axis: str, method: str, weights: str) -> Row:
    """Flicker along the enlarged axis first, then along the two others."""
    first = "ijk".index(axis)
    order = (first, *(other for other in range(3) if other != first))
    values = [measures.psnr, measures.ssim, measures.sharpness]
    values += [measures.flicker[other] for other in order]
    cells = [method, weights, *(f"{value:.6f}" for value in values)]
    return dict(zip([*COLUMNS[5:], *FLICKER], cells, strict=True))


def write(rows: list[Row], table: Path) -> None:
    """By a temporary name, so that an interrupted run loses nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS + FLICKER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(text.getvalue(), table)


def summary(rows: list[Row]) -> str:
    """Means over subjects and axes, a table for each factor."""
    text = []
    for factor in sorted({row["factor"] for row in rows}):
        found: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["factor"] == factor:
                found[row["method"]].append(row)
        means = {name: mean(every) for name, every in found.items()}
        best = max(BASELINES, key=lambda name: means[name].psnr)
        beside = {(row["subject"], row["axis"]): row for row in found[best]}
        subjects = {subject for subject, _ in beside}
        text.append(f"**{factor}x**: {len(subjects)} subjects, {len(beside)} volumes\n")
        text.append(to_text(means, ("the axis", "one other", "the other")) + "\n")
        for name in found.keys() - BASELINES.keys():
            ahead = sum(
                all(np.greater(merits(row), merits(beside[row["subject"], row["axis"]])))
                for row in found[name]
            )
            count = f"{ahead} of {len(found[name])} volumes"
            text.append(f"`{name}` is ahead of {best} by all three measures in {count}.\n")
    return "\n".join(text)


def merits(row: Row) -> tuple[float, float, float]:
    """PSNR, SSIM and nearness to the true sharpness: more is better."""
    return float(row["psnr"]), float(row["ssim"]), -abs(1 - float(row["sharpness"]))


def mean(every: list[Row]) -> ThroughPlane:
    def of(name: str) -> float:
        return float(np.mean([float(row[name]) for row in every]))

    return ThroughPlane(of("psnr"), of("ssim"), of("sharpness"), tuple(map(of, FLICKER)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
