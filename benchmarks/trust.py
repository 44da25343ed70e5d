"""How far intervals and findings can be trusted, on test subjects.

    python benchmarks/trust.py coverage mri-x2 data.root=/path/to/data [split=test] [slices=3]
    python benchmarks/trust.py ranking mri-x2 data.root=/path/to/data [slices=1] [beside=mri-any-x2]
    python benchmarks/trust.py findings mri-x2 data.root=/path/to/data

`table=body/body.csv` takes the scans of another table than the recipe's; `ways=kspace-crop,noisy`
only these ways of losing resolution.

`coverage`: share of foreground voxels within 90 % intervals, width (share of what is bright), by
data set and contrast, for each way of losing resolution. `ranking`: how well the width finds the
largest errors, beside the spread over 8 flips and rotations, the difference from another network
(an ensemble of two) and the gradient. `findings`: what `--strict` would
refuse, of test scans and of images that a model for brains must not be given.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from iconet import zoo
from iconet.data.split_volumes import tables_of_scans
from iconet.evaluation.lowering import lower
from iconet.evaluation.metrics import foreground
from iconet.evaluation.trust import Case, Sampled, cases, sampled, ways_of
from iconet.images import Scan, read
from iconet.runtime.device import Compute
from iconet.training.recipe import Recipe
from iconet.upscaling.interval import Bounds
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.out_of_range import out_of_range
from iconet.upscaling.plan import plan_grid
from iconet.upscaling.slices import predict_stack
from iconet.zoo.model import Model

CPU = Compute(torch.device("cpu"), "fp32")
WORST = 0.05


def coverage(model: Model, ways: list[str], tested: list[Case], slices: int) -> None:
    network = model.running(True)
    print("| degradation | data | subjects | coverage | worst scan | width |\n" + 6 * "|---" + "|")
    for way in ways:
        found = [sampled(model, network, case, way, CPU, slices=slices) for case in tested]  # type: ignore[arg-type]
        groups: dict[str, list[Sampled]] = {}
        for one in found:
            if one is not None:
                groups.setdefault(f"{one.case.dataset} {one.case.contrast}", []).append(one)
        for group, members in groups.items():
            people = {one.case.subject for one in members}
            cover, width = (
                np.mean([getattr(one, what) for one in members]) for what in ("coverage", "width")
            )
            worst = min(one.coverage for one in members)
            print(
                f"| {way} | {group} | {len(people)} | {cover:.1%} | {worst:.1%} | {width:.3f} |",
                flush=True,
            )


def ranking(model: Model, tested: list[Case], slices: int, others: list[Model]) -> None:
    """Each measure of doubt against the true error, the mean over scans."""
    from scipy.stats import spearmanr

    network, plain, rows = model.running(True), model.network, []
    for case in tested:
        lowered = lower(case.stack, "kspace-crop", model.scale, every=len(case.stack) // slices)
        if lowered is None:
            continue
        stack = lowered.magnitude[:, 0].numpy()
        bounds = Bounds.empty(lowered.truth.shape)
        image = predict_stack(network, stack, compute=CPU, bounds=bounds)
        inside = foreground(lowered.truth)
        error = np.abs(image - lowered.truth)[inside]
        doubts = {
            "width": bounds.upper - bounds.lower,
            "8 flips and turns": np.std([image, *_turned(plain, stack)], axis=0),
            "gradient of the image": np.hypot(*np.gradient(image, axis=(1, 2))),
        }
        for other in others:
            second = predict_stack(other.network, stack, compute=CPU)
            doubts[f"difference from {other.name}"] = np.abs(image - second)
        row = {}
        for name, doubt in doubts.items():
            here = doubt[inside]
            factor = np.quantile(error / np.maximum(here, 1e-6), 0.9)
            rank = spearmanr(here[::7], error[::7]).statistic
            row[name] = _auroc(here, error), rank, 2 * factor * here.mean()
        rows.append(row)
    print(
        "| doubt | AUROC of the worst 5 % | Spearman | width that covers 90 % |\n"
        + 4 * "|---"
        + "|"
    )
    for name in rows[0]:
        auroc, rank, width = np.mean([row[name] for row in rows], axis=0)
        print(f"| {name} | {auroc:.3f} | {rank:.3f} | {width:.3f} |")


def _turned(network, stack) -> Iterator[np.ndarray]:
    """What the network makes of the other seven flips and turns, turned back."""
    for number in range(1, 8):
        turns, flip = number % 4, number > 3
        given = np.rot90(stack[:, :, ::-1] if flip else stack, turns, axes=(1, 2))
        made = predict_stack(network, np.ascontiguousarray(given), compute=CPU)
        made = np.rot90(made, -turns, axes=(1, 2))
        yield made[:, :, ::-1] if flip else made


def _auroc(doubt: np.ndarray, error: np.ndarray) -> float:
    worst = error >= np.quantile(error, 1 - WORST)
    ranks = np.empty(len(doubt))
    ranks[np.argsort(doubt)] = np.arange(1, len(doubt) + 1)
    count = worst.sum()
    return float((ranks[worst].sum() - count * (count + 1) / 2) / (count * (len(doubt) - count)))


def findings(model: Model, recipe: Recipe, tested: list[Case], root: Path) -> None:
    groups: dict[str, list[set[str]]] = {}
    for name, scan, options in _scans(tested, root, recipe.scale):
        models = Models(model)
        try:
            plan = plan_grid(scan, models, options)
            found = {finding.what for finding in out_of_range(scan, plan, models, options)}
        except Exception as error:  # refused anyway
            found = {f"refused: {str(error)[:50]}"}
        groups.setdefault(name, []).append(found)
    print("| images | flagged | by |\n|---|---|---|")
    for name, members in groups.items():
        why = {what: sum(what in found for found in members) for what in set().union(*members)}
        said = ", ".join(f"{what} {count}" for what, count in sorted(why.items()))
        print(f"| {name} | {sum(map(bool, members))} of {len(members)} | {said} |", flush=True)


def _scans(tested: list[Case], root: Path, factor: int) -> Iterator[tuple[str, Scan, Options]]:
    rng = np.random.default_rng(0)
    plain = Options(plane="k", kind="mr")

    def scan(stack: np.ndarray, mm: float) -> Scan:
        return Scan(
            np.ascontiguousarray(stack.transpose(1, 2, 0), np.float32),
            affine=np.diag([-mm, mm, 3, 1.0]),
        )

    for case in tested:
        middle = case.stack[len(case.stack) // 3 : len(case.stack) // 3 + 24]
        mm = case.spacing or 1
        yield f"{case.dataset}, as published", scan(middle, mm), plain
        low = lower(middle, "kspace-crop", factor)
        if low is None:
            continue
        stack = low.magnitude[:, 0].numpy()
        yield f"{case.dataset}, degraded", scan(stack, mm * factor), plain
        noisy = np.hypot(stack + rng.normal(0, 0.1, stack.shape), rng.normal(0, 0.1, stack.shape))
        yield "10 % noise", scan(noisy, mm * factor), plain
        if len(stack) > 8:
            yield "shuffled slices", scan(stack[rng.permutation(len(stack))], mm * factor), plain
        bigger = (
            torch.nn.functional.interpolate(low.magnitude, scale_factor=2, mode="bicubic")
            .clamp(min=0)[:, 0]
            .numpy()
        )
        off = replace(plain, acquired="off")
        yield "interpolated 2x, --acquired off", scan(bigger, mm * factor / 2), off
        yield "noise alone", scan(rng.rayleigh(100, stack.shape), mm * factor), plain
        labels = np.floor(8 * stack / max(stack.max(), 1e-6))
        yield "label maps, --kind mr", scan(labels, mm * factor), plain
        phase = np.angle(
            np.exp(
                1j
                * (
                    9 * np.pi * np.cumsum(stack, axis=2) / stack.shape[2]
                    + rng.normal(0, 1, stack.shape) * (stack < 0.1)
                )
            )
        )
        yield "phase images, --kind mr", scan(phase, mm * factor), plain
    for name in ("CT", "PET"):
        for path in sorted((root / "body" / name.lower()).glob("*.nii.gz"))[:12]:
            volume = read(path)
            volume = replace(volume, array=volume.array[:, :, :24])
            yield f"{name}, --model and --kind mr", volume, plain
            yield f"{name}, --model", volume, replace(plain, kind=name.lower())
    for array in _photographs():
        yield "photographs", Scan(array), Options(kind="mr")


def _photographs() -> Iterator[np.ndarray]:
    """Pictures that come with libraries, where these are installed."""
    for folder in (Path(np.__file__).parents[1],):
        for path in sorted([*folder.glob("**/*.jpg"), *folder.glob("**/sample_data/*.png")])[:12]:
            from PIL import Image

            picture = np.asarray(Image.open(path).convert("L"), np.float32)
            if min(picture.shape) >= 64:
                yield picture[:512, :512]


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    given = dict(argument.split("=", 1) for argument in sys.argv[3:])
    root = Path(given["data.root"])
    chosen = Model.of(zoo.load(sys.argv[2]))
    content = json.loads(chosen.network.metadata["recipe"])
    content["data"]["root"] = str(root)
    asked = Recipe(**content)
    tables = tables_of_scans(asked.data, Path("/tmp"))
    if "table" in given:
        tables = [root / given["table"]]
    scans = [
        case
        for case in cases(root, tables, given.get("split", "test"), asked.data.contrasts)
        if case.contrast not in ("CT", "PT")
    ]
    if sys.argv[1] == "coverage":
        ways = given["ways"].split(",") if "ways" in given else list(ways_of(asked))
        coverage(chosen, ways, scans, int(given.get("slices", 3)))
    elif sys.argv[1] == "ranking":
        beside = [Model.of(zoo.load(name)) for name in given.get("beside", "").split(",") if name]
        ranking(chosen, scans, int(given.get("slices", 1)), beside)
    else:
        findings(chosen, asked, scans, root)
