"""Thin slices from thick ones on the test subjects: networks beside interpolation.

    python benchmarks/through_plane.py ../shared/data/splits.csv mri-slice-x2 mri-slice-x4

Every scan with nearly square pixels in all three planes is thickened along each of its axes (a
Gaussian profile, as `iconet degrade --axis` makes it) and made thin again. Means over subjects and
axes; the factor is the model's.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

import iconet
from iconet.data.splits import read_splits
from iconet.data.volumes import square_planes
from iconet.evaluation.through_plane import ThroughPlane, compare_methods, to_text
from iconet.images import read
from iconet.upscaling.device import choose_compute
from iconet.upscaling.through_plane import enlarge_axis


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("splits", type=Path, help="table of scans")
    parser.add_argument("models", nargs="+", help="names or files of weights")
    parser.add_argument("--split", default="test")
    parser.add_argument("--axes", default="ijk", help="axes to thicken")
    options = parser.parse_args()
    compute = choose_compute()
    networks = {name: iconet.load(name) for name in options.models}
    root = options.splits.parent
    rows = [
        row
        for row in read_splits(root, options.splits.name, options.split)
        if len(square_planes(root / row["path"], row["sharp_plane"])) == 3
    ]
    found: dict[int, dict[str, list[ThroughPlane]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        truth = read(root / row["path"]).array
        for axis in map("ijk".index, options.axes):
            for factor in sorted({network.scale for network in networks.values()}):
                methods = {
                    name: lambda thick, along, _, network=network: enlarge_axis(
                        thick, along, network, compute=compute
                    )
                    for name, network in networks.items()
                    if network.scale == factor
                }
                for name, measures in compare_methods(truth, axis, factor, methods).items():
                    # Flicker along the enlarged axis first, then along the two others.
                    order = (axis, *(other for other in range(3) if other != axis))
                    turned = tuple(measures.flicker[other] for other in order)
                    found[factor][name].append(
                        ThroughPlane(measures.psnr, measures.ssim, measures.sharpness, turned)
                    )
    for factor, results in found.items():
        means = {name: _mean(every) for name, every in results.items()}
        print(f"{factor}x, {len(rows)} subjects, axes {options.axes}\n")
        print(to_text(means, ("the axis", "one other", "the other")), end="\n\n")


def _mean(every: list[ThroughPlane]) -> ThroughPlane:
    flicker = np.mean([one.flicker for one in every], axis=0)
    return ThroughPlane(
        *(float(np.mean([getattr(one, name) for one in every])) for name in ("psnr", "ssim")),
        float(np.mean([one.sharpness for one in every])),
        tuple(flicker.tolist()),
    )


if __name__ == "__main__":
    main()
