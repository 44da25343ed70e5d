"""What a benchmark found: Markdown with tables, and figures beside it."""

import os
import platform
import shlex
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.evaluation import charts, sfrc
from iconet.evaluation.benchmark_recipe import Condition
from iconet.evaluation.lowering import WAYS, lower
from iconet.evaluation.metrics import CONVENTION, psnr
from iconet.evaluation.panel import panel
from iconet.evaluation.queue import Queue, Test
from iconet.evaluation.results import Row, write_rows
from iconet.evaluation.table import Group, groups, markdown, overview, sections
from iconet.files import complete_file
from iconet.pictures.view import upright
from iconet.runtime.hardware import processor_name


def write_page(
    queue: Queue, recipe_path: Path, overrides: list[str], max_time: str | None = None
) -> str:
    """Write ``benchmark.md``, ``benchmark.csv`` and ``figures/`` into the recipe's output folder.

    Args:
        queue: What was asked for and is on disk.
        recipe_path: As it was given on the command line, with the two that follow.
        overrides: Changes to the recipe.
        max_time: Limit of time.

    Returns:
        The Markdown text.

    Raises:
        InputError: The folder cannot be written to.
    """
    recipe = queue.recipe
    rows = queue.wanted()
    found = groups(rows)
    focus = {c.name: queue.focus(c) for c in recipe.conditions}
    costs = {c.name: queue.budget.costs_of(c) for c in recipe.conditions}
    try:
        write_rows(recipe.output / "benchmark.csv", rows, Row)
        figures = _figures(queue, found)
        limit = ["--max-time", max_time] if max_time else []
        command = shlex.join(["iconet", "benchmark", str(recipe_path), *overrides, *limit])
        parts = [
            "# Benchmark",
            f"`{command}`, {datetime.now(UTC):%Y-%m-%d}.",
            _conditions(queue),
            f"{CONVENTION} {sfrc.CONVENTION}",
            _reading(queue),
            _unfinished(queue),
            _titled("## Overview", overview(found, focus)),
            sections(found, focus, costs),
            _titled("## Figures", "\n\n".join(figures)),
            _titled("## Training runs", _runs(queue)),
            _titled("## Made with", f"- {_hardware(queue)}\n- {_versions()}"),
        ]
        text = "\n\n".join(part for part in parts if part) + "\n"
        with complete_file(recipe.output / "benchmark.md") as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot write to {recipe.output}: {error.strerror}") from error
    return text


def _conditions(queue: Queue) -> str:
    recipe = queue.recipe
    lines = [
        f"Split '{recipe.split}', "
        + ("every slice." if recipe.every == 1 else f"every {recipe.every}th slice of each volume.")
        + " Truth: the slices at the matrix they were acquired with. Numbers of every volume: "
        "`benchmark.csv`. Conditions, which are never mixed:",
        "",
    ]
    for condition in recipe.conditions:
        given = "the image and the measured k-space" if condition.known_samples else "the magnitude"
        lines.append(
            f"- {condition.name}: {condition.task}, scale {condition.scale}, networks are given "
            f"{given}."
        )
    ways = dict.fromkeys(way for condition in recipe.conditions for way in condition.test)
    lines += ["", "Tests:", "", *(f"- {way}: {WAYS[way]}." for way in ways)]
    return "\n".join(lines)


def _reading(queue: Queue) -> str:
    return (
        "Means are over subjects; a subject counts once, by the mean over its volumes and over "
        "training seeds; ± is the standard deviation of that mean over seeds. fg: inside the "
        "foreground. Leads: the method in bold minus the other, mean over subjects with its 95 % "
        "bootstrap interval; p: paired Wilcoxon test over subjects, which with n subjects cannot "
        "fall below 2 / 2^n (n = 3: 0.25), and with two or three the interval is hardly more than "
        "the smallest and the largest. Interpolations of undersampled scans enlarge the magnitude "
        "of the zero-filled reconstruction. Costs are those of one slice of 128 x 128 "
        "low-resolution pixels, all networks measured in turns: GMACs, half the operations that "
        "torch.utils.flop_counter counts (no Fourier transforms); CPU ms, the median on one "
        "thread; MB, the largest sum of tensors alive together beside the weights; GPU ms and MB "
        "where there is a GPU. "
        f"Networks ran on {queue.compute}."
    )


def _unfinished(queue: Queue) -> str:
    entries = list(queue.entries())
    open_ = [
        f"{condition.name}: {network.name} seed {seed}"
        for condition, network, seed in entries
        if not ((run := queue.run_for(condition, network, seed)) and run.finished)
    ]
    if not open_:
        return ""
    return (
        f"**Unfinished: {len(open_)} of {len(entries)} training runs are left** "
        f"({'; '.join(open_)}). Rerun the command to resume."
    )


def _runs(queue: Queue) -> str:
    """What was trained: equal terms, to be checked."""
    lines = [["condition", "network", "seed", "steps", "learning rate", "validation (dB)", "s"]]
    for entry in queue.entries():
        run = queue.run_for(*entry)
        if run and (done := run.finished):
            rate = f"{run.recipe.optimisation.learning_rate:g}"
            numbers = [str(done.steps), rate, f"{done.validation:.2f}", f"{done.seconds:.0f}"]
            lines.append([run.condition.name, run.network.name, str(run.seed), *numbers])
    if len(lines) == 1:
        return ""
    recipe = queue.recipe
    terms = f"{recipe.steps} steps each."
    if recipe.budget:
        own = [f" ({c.budget} under {c.name})" for c in recipe.conditions if c.budget]
        terms = (
            f"Every network's steps are those that {recipe.budget}{''.join(own)} have room for, at "
            "the median time of its training step, all networks measured in turns before anything "
            "was trained (`step-times.csv`, without making the batch)."
        )
    if len(recipe.learning_rates) > 1:
        tried = ", ".join(f"{rate:g}" for rate in recipe.learning_rates)
        terms += (
            f" Learning rates {tried} were each tried for {recipe.tuning:.0%} of the steps with "
            "the first seed; the one with the highest validation PSNR was taken."
        )
    return f"{terms}\n\n{markdown(lines, left=2)}"


def _figures(queue: Queue, found: list[Group]) -> list[str]:
    folder = queue.recipe.output / "figures"
    folder.mkdir(exist_ok=True)
    links = []
    for condition in queue.recipe.conditions:
        own = [group for group in found if group.condition == condition.name and group.scores]
        if not own:
            continue
        group, focus = own[0], queue.focus(condition)  # the tables have the rest
        name = _slug(condition.name)
        drawn = ["subjects"]
        charts.subjects(folder / f"{name}-subjects.png", group, focus)
        milliseconds = {n: cost.cpu_ms for n, cost in queue.budget.costs_of(condition).items()}
        if any(score.method in milliseconds for score in group.scores):
            path = folder / f"{name}-time.png"
            charts.accuracy_against_time(path, group, milliseconds, focus)
            drawn.insert(0, "time")
        if _panel(queue, condition, folder / f"{name}-panel.png"):
            drawn.insert(0, "panel")
        links += [f"![{condition.name}, {what}](figures/{name}-{what}.png)" for what in drawn]
    return links


def _panel(queue: Queue, condition: Condition, path: Path) -> bool:
    """All methods on the middle slice of the first scan; False if none was measured yet."""
    way, test = condition.test[0], queue.tests[0]
    low = lower(test.stack, way, condition.scale, every=queue.recipe.every, name=test.path)
    images: dict[str, NDArray] = {}
    for method in queue.methods(condition):
        kept = queue.example(method, condition, way)
        if kept.exists():
            images.setdefault(method.name, np.load(kept))  # of several seeds the first
    if low is None or not images:
        return False
    truth = low.truth[len(low.truth) // 2]
    if any(image.shape != truth.shape for image in images.values()):
        return False
    peak = truth[None].max()
    captions = {
        name: f"{psnr(image[None], truth[None]):.2f} dB" if peak > 0 else ""
        for name, image in images.items()
    }
    turned, aspect = {}, 1.0
    for name, image in {**images, "": truth}.items():
        turned[name], aspect = _as_seen(image, test, queue, way)
    truth = turned.pop("")
    title = f"{condition.name}, {way}: {test.path}, middle slice"
    panel(path, turned, truth, captions=captions, title=title, pixel_aspect=aspect)
    return True


def _as_seen(image: NDArray, test: Test, queue: Queue, way: str) -> tuple[NDArray, float]:
    """A slice the right way up, and the height of its pixels over their width."""
    from iconet.images import read
    from iconet.images.geometry import slice_axis_of

    if way == "through-plane" or test.path.endswith(".h5"):
        return image, 1.0
    scan = read(queue.recipe.data.root / test.path)
    if scan.affine is None:
        return image, 1.0
    axis = slice_axis_of(scan, test.plane)
    return upright(np.expand_dims(image, axis), scan.affine, axis, 0)


def _slug(text: str) -> str:
    return "-".join(text.replace(",", " ").replace(":", " ").split())


def _titled(title: str, text: str) -> str:
    return f"{title}\n\n{text}" if text else ""


def _hardware(queue: Queue) -> str:
    import torch

    cores, threads = os.cpu_count(), torch.get_num_threads()
    text = f"{processor_name()}, {cores} cores, {threads} threads, {queue.compute}"
    if torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name()}"
    return text


def _versions() -> str:
    packages = ("iconet", "torch", "numpy", "scipy", "nibabel", "pillow")
    listed = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}, {listed}"
