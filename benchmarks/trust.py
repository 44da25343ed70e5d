"""How far intervals and findings can be trusted, on test subjects.

    python benchmarks/trust.py coverage mri-x2 data.root=/path/to/data [split=test] [slices=3]
    python benchmarks/trust.py ranking mri-x2 data.root=/path/to/data [slices=1] [beside=mri-any-x2]
    python benchmarks/trust.py findings mri-x2 data.root=/path/to/data [pictures=/path/to/pictures]

`table=body/body.csv` takes the scans of another table than the recipe's; `ways=kspace-crop,noisy`
only these ways of losing resolution.

`coverage`: share of foreground voxels within 90 % intervals, width (share of what is bright), by
data set and contrast, for each way of losing resolution. `ranking`: how well the width finds the
largest errors, beside the spread over 8 flips and rotations, the difference from another network
(an ensemble of two) and the gradient. `findings`: what `--strict` would refuse, of test scans and
of images that a model for brains must not be given; photographs are those that come with libraries,
or those of a folder.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom

from iconet import zoo
from iconet.data.split_volumes import tables_of_scans
from iconet.evaluation.lowering import lower
from iconet.evaluation.metrics import foreground
from iconet.evaluation.trust import Case, Sampled, cases, sampled, ways_of
from iconet.images import Scan, read
from iconet.physics.kspace import resize_kspace
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


def findings(model: Model, recipe: Recipe, tested: list[Case], root: Path, pictures: Path) -> None:
    groups: dict[str, list[set[str]]] = {}
    for name, scan, options in _scans(tested, root, recipe.scale, pictures):
        models = Models(model)
        try:
            plan = plan_grid(scan, models, options)
            found = {finding.what for finding in out_of_range(scan, plan, models, options)}
        except Exception as error:  # refused anyway
            found = {f"refused ({str(error)[-40:]})"}
        groups.setdefault(name, []).append(found)
    print("| images | flagged | by |\n|---|---|---|")
    for name, members in groups.items():
        why = {what: sum(what in found for found in members) for what in set().union(*members)}
        said = ", ".join(f"{what} {count}" for what, count in sorted(why.items()))
        print(f"| {name} | {sum(map(bool, members))} of {len(members)} | {said} |", flush=True)


def _scans(
    tested: list[Case], root: Path, factor: int, pictures: Path
) -> Iterator[tuple[str, Scan, Options]]:
    rng = np.random.default_rng(0)
    plain = Options(plane="k", kind="mr")
    for case in tested:
        middle = case.stack[len(case.stack) // 3 : len(case.stack) // 3 + 24]
        mm = case.spacing or 1
        yield f"{case.dataset}, as published", _scan(middle, mm), plain
        low = lower(middle, "kspace-crop", factor)
        if low is None:
            continue
        stack, mm = low.magnitude[:, 0].numpy(), mm * factor
        yield f"{case.dataset}, degraded", _scan(stack, mm), plain
        for name, image in _spoilt(stack, rng):
            yield name, _scan(image, mm), plain
        for name, bigger in _interpolated(stack):
            scan = _scan(bigger, mm / 2)
            yield f"interpolated 2x by {name}", scan, plain
            yield f"interpolated 2x by {name}, --acquired off", scan, replace(plain, acquired="off")
    for name in ("CT", "PET"):
        for path in sorted((root / "body" / name.lower()).glob("*.nii.gz"))[:12]:
            volume = read(path)
            volume = replace(volume, array=volume.array[:, :, :24])
            yield f"{name}, --model and --kind mr", volume, plain
            yield f"{name}, --model", volume, replace(plain, kind=name.lower())
    for array in _photographs(pictures):
        yield "photographs", Scan(array), Options(kind="mr")
        yield "photographs, half the size", Scan(_halved(array)), Options(kind="mr")


def _scan(stack: np.ndarray, mm: float) -> Scan:
    array = np.ascontiguousarray(stack.transpose(1, 2, 0), np.float32)
    return Scan(array, affine=np.diag([-mm, mm, 3, 1.0]))


def _spoilt(stack: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Slices (N, H, W) of a scan, made into what must not be taken for one."""
    real, imaginary = rng.normal(0, 0.1, (2, *stack.shape))
    yield "10 % noise", np.hypot(stack + real, imaginary)
    if len(stack) > 8:
        yield "shuffled slices", stack[rng.permutation(len(stack))]
        yield "odd slices after even ones", np.concatenate([stack[::2], stack[1::2]])
    yield "noise alone", rng.rayleigh(100, stack.shape)
    yield "label maps: 9 grey values, --kind mr", np.floor(8 * stack / max(stack.max(), 1e-6))
    smooth = gaussian_filter(stack, (0, 1, 1))
    inside = smooth > 0.15 * smooth.max()
    tissue = inside * (1 + np.digitize(smooth, np.quantile(smooth[inside], (0.33, 0.66))))
    yield "label maps: 3 tissues, --kind mr", tissue
    seeds = np.full(stack.shape[1:], True)
    seeds[tuple(rng.integers(0, np.array(seeds.shape)[:, None], (2, 80)))] = False
    nearest = distance_transform_edt(seeds, return_distances=False, return_indices=True)
    regions = 1000 + nearest[0] * seeds.shape[1] + nearest[1]
    yield "label maps: 80 regions, --kind mr", inside * regions
    yield "masks, --kind mr", inside
    yield "probabilities, --kind mr", gaussian_filter((tissue == 2).astype(float), (0, 1, 1))
    winding = 9 * np.pi * np.cumsum(stack, axis=2) / stack.shape[2]
    phase = winding + rng.normal(0, 1, stack.shape) * (stack < 0.1)
    yield "phase images, --kind mr", np.angle(np.exp(1j * phase))
    for share, name in ((0.1, "10 %"), (0.2, "20 %")):
        copy = np.roll(stack, stack.shape[1] // 2, axis=1)
        yield f"a ghost of {name} at N/2", np.abs(stack + share * copy)


def _interpolated(stack: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    tensor = torch.from_numpy(stack)[:, None]
    bigger = stack.shape[1] * 2, stack.shape[2] * 2
    yield "zeros in k-space", resize_kspace(tensor, bigger).abs()[:, 0].numpy()
    for name, mode in (("straight lines", "bilinear"), ("cubic convolution", "bicubic")):
        finer = torch.nn.functional.interpolate(tensor, scale_factor=2, mode=mode)
        yield name, finer.clamp(min=0)[:, 0].numpy()
    yield "cubic splines", zoom(stack, (1, 2, 2)).clip(0)


def _photographs(folder: Path) -> Iterator[np.ndarray]:
    """Grey pictures of a folder."""
    for path in sorted([*folder.glob("**/*.jpg"), *folder.glob("**/*.png")]):
        picture = np.asarray(Image.open(path).convert("L"), np.float32)[:512, :512]
        if min(picture.shape) >= 128:
            yield picture


def _halved(array: np.ndarray) -> np.ndarray:
    rows, columns = (size // 2 for size in array.shape)
    return array[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))


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
        libraries = Path(np.__file__).parents[1] / "matplotlib"
        findings(chosen, asked, scans, root, Path(given.get("pictures", libraries)))
