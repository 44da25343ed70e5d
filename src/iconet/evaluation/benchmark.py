"""`iconet benchmark`: every method on every test volume, per subject, resumable, as a table."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.evaluation import interpolation
from iconet.evaluation.metrics import CONVENTION, evaluate
from iconet.evaluation.recipe import BenchmarkRecipe, read_recipe
from iconet.evaluation.results import CONVENTION_ID, Key, Row, append_row, read_rows, write_rows
from iconet.evaluation.table import markdown_tables


@dataclass(frozen=True)
class Method:
    """Something that enlarges a stack ``(S, H, W)``; ``scale`` None: by any factor."""

    name: str
    weights: str
    compute: str
    scale: int | None
    enlarge: Callable[[NDArray, int], NDArray]


@dataclass(frozen=True)
class Volume:
    """One line of the splits file."""

    dataset: str
    subject: str
    path: str
    contrast: str
    sharp_plane: str


def run(recipe_path: Path | str, overrides: list[str] | None = None) -> str:
    """Run a benchmark recipe, going on where an earlier run stopped.

    Writes into the recipe's output folder: ``results.csv``, to which every measurement is added as
    soon as it is made, and at the end ``benchmark.md``, the tables, and ``benchmark.csv``, the rows
    that they were made of. What has a row is never measured again, unless the truth, the weights,
    the device or precision of a model, or the metrics' convention have changed since.

    Args:
        recipe_path: YAML file, see `iconet.evaluation.recipe.BenchmarkRecipe`.
        overrides: ``key=value`` strings that replace values of the recipe.

    Returns:
        The Markdown text, which is also printed.

    Raises:
        InputError: A wrong recipe, a missing scan, an unknown model, an unwritable output.
    """
    overrides = list(overrides or [])
    recipe = read_recipe(Path(recipe_path), overrides)
    volumes = _volumes(recipe)
    methods = [_method(name, recipe) for name in recipe.methods]
    results = recipe.output / "results.csv"
    try:
        recipe.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {recipe.output}: {error.strerror}") from error

    rows = {row.key: row for row in read_rows(results)}
    wanted: dict[Key, Row] = {}
    for index, volume in enumerate(volumes):
        truth = _truth(volume, recipe)
        plan: dict[Key, tuple[int, Method]] = {
            _key(volume, truth, scale, method, recipe): (scale, method)
            for scale in recipe.scales
            for method in methods
            if method.scale in (None, scale)
        }
        missing = {key: work for key, work in plan.items() if key not in rows}
        for row in _measure(volume, truth, missing):
            append_row(results, row)
            rows[row.key] = row
            print(
                f"[{index + 1}/{len(volumes)}] {row.path} {row.scale}x {row.method}: "
                f"foreground PSNR {row.psnr_foreground:.2f} dB, SSIM {row.ssim_foreground:.4f}, "
                f"{row.ms_per_slice:.1f} ms a slice",
                file=sys.stderr,
                flush=True,
            )
        wanted |= {key: rows[key] for key in plan}

    text = _report(list(wanted.values()), recipe_path, overrides, recipe)
    table = recipe.output / "benchmark.md"
    try:
        table.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {table}: {error.strerror}") from error
    write_rows(table.with_suffix(".csv"), list(wanted.values()))
    print(text)
    return text


def _volumes(recipe: BenchmarkRecipe) -> list[Volume]:
    from iconet.data.volumes import read_splits

    lines = read_splits(recipe.data.root, recipe.data.splits, recipe.split)
    chosen = []
    for dataset in recipe.datasets:
        found = [line for line in lines if line["dataset"] == dataset]
        if not found:
            raise InputError(
                f"{recipe.data.root / recipe.data.splits} has no '{recipe.split}' volume of "
                f"the data set '{dataset}': leave it out of datasets"
            )
        names = Volume.__dataclass_fields__
        chosen += [Volume(**{name: line[name] for name in names}) for line in found]
    return chosen


def _method(name: str, recipe: BenchmarkRecipe) -> Method:
    if name in interpolation.METHODS:
        return Method(name, "", "", None, interpolation.METHODS[name])

    from iconet import zoo
    from iconet.upscaling.device import choose_compute
    from iconet.upscaling.slices import predict_stack

    compute = choose_compute(recipe.device, recipe.precision)
    model = zoo.load(name, device=str(compute.device))
    # The intensity scale is left to predict_stack, so this is what users of `iconet upscale` get.
    return Method(
        name=name,
        weights=str(model.sha256),
        compute=str(compute),
        scale=model.scale,
        enlarge=lambda stack, factor: predict_stack(model, stack, compute=compute),
    )


def _truth(volume: Volume, recipe: BenchmarkRecipe) -> NDArray[np.float32]:
    from iconet.data.truth import truth_stack
    from iconet.images.reading import read

    return truth_stack(read(recipe.data.root / volume.path), volume.sharp_plane)


def _fingerprint(truth: NDArray[np.float32]) -> str:
    # Four digits: what machines add up in another order is still the same truth.
    return f"{' x '.join(map(str, truth.shape))}, mean {truth.mean(dtype=np.float64):.4g}"


def _key(
    volume: Volume,
    truth: NDArray[np.float32],
    scale: int,
    method: Method,
    recipe: BenchmarkRecipe,
) -> Key:
    return Key(
        dataset=volume.dataset,
        subject=volume.subject,
        path=volume.path,
        scale=scale,
        degradation=recipe.degradation,
        method=method.name,
        weights=method.weights,
        compute=method.compute,
        truth=_fingerprint(truth),
        convention=CONVENTION_ID,
    )


def _measure(
    volume: Volume,
    truth: NDArray[np.float32],
    work: dict[Key, tuple[int, Method]],
) -> Iterator[Row]:
    """Measure the methods at their scales on one volume, which is reduced only once a scale."""
    import torch

    from iconet.physics.kspace import crop_kspace

    small = {
        scale: crop_kspace(torch.from_numpy(truth), scale).abs().numpy()
        for scale in {scale for scale, _ in work.values()}
    }
    for key, (scale, method) in work.items():
        start = time.perf_counter()
        prediction = method.enlarge(small[scale], scale)
        seconds = time.perf_counter() - start
        measured = asdict(evaluate(prediction, truth))
        yield Row(
            **key._asdict(),
            contrast=volume.contrast,
            slices=len(truth),
            ms_per_slice=round(1000 * seconds / len(truth), 3),
            **{name: round(value, 6) for name, value in measured.items()},
        )


def _report(
    rows: list[Row], recipe_path: Path | str, overrides: list[str], recipe: BenchmarkRecipe
) -> str:
    command = shlex.join(["iconet", "benchmark", str(recipe_path), *overrides])
    weights = {row.method: row for row in rows if row.weights}
    lines = [
        "# Benchmark",
        "",
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}.",
        "",
        f"Split '{recipe.split}'. Low-resolution scans: centred k-space crop of every slice, "
        "magnitude. Truth: the slice at the matrix it was acquired with. Numbers of every volume: "
        "`benchmark.csv`.",
        "",
        CONVENTION,
        "",
        "Means are over subjects; fg: inside the foreground; ms/slice: median over volumes, on a "
        "machine that may have been busy. bicubic is cubic convolution, which most software calls "
        "cubic; cubic-b-spline is prefiltered. Gains: differences of the foreground PSNR in dB, "
        "mean with its 95 % bootstrap interval over subjects; p: paired Wilcoxon test. Higher than "
        "all interpolations: on how many of the subjects a model's value is above that of every "
        "interpolation in the table.",
        "",
        markdown_tables(rows),
        "",
        *[
            f"- {name}: {row.compute}, weights SHA-256 `{row.weights}`"
            for name, row in sorted(weights.items())
        ],
        f"- {_hardware()}",
        f"- {_versions()}",
        "",
    ]
    return "\n".join(lines)


def _hardware() -> str:
    import torch

    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [s for s in information.read_text().splitlines() if s.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    text = f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name()}"
    return text


def _versions() -> str:
    packages = ("iconet", "torch", "numpy", "scipy", "nibabel", "pillow")
    listed = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}, {listed}"
