"""`iconet train`: from a recipe to a file of trained weights."""

import socket
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from iconet.data import Volume
from iconet.errors import InputError
from iconet.recipe_files import read_recipe
from iconet.runtime.hardware import has_fast_bf16
from iconet.training.architecture import build
from iconet.training.loop import Loop
from iconet.training.processes import ProcessesLost, agree, launch, noticed
from iconet.training.recipe import Recipe
from iconet.training.schedule import seconds


def train(
    recipe_path: Path,
    overrides: list[str] | None = None,
    *,
    output: Path | None = None,
    max_time: str | None = None,
    device: str = "auto",
    devices: int | None = None,
    nodes: int | None = None,
) -> Path:
    """Train a network as a recipe says; go on where an earlier run of it stopped.

    A finished run goes on where its recipe asks for more steps than it did: the learning rate
    rises again to where it is on the longer schedule.

    The output folder receives ``checkpoint.safetensors`` (all that is needed to go on, written
    every two minutes), TensorBoard logs, and ``<name>.safetensors``: the averaged weights that were
    best on the validation scans. Ctrl-C and SIGTERM finish the step at hand and save it before they
    stop the run.

    Args:
        recipe_path: The YAML recipe, or the name of one of the package.
        overrides: Changes to it, ``section.key=value``.
        output: Folder for the results, ``runs/<name>`` by default; nodes must share it.
        max_time: Duration such as ``45m`` after which the run is over, its learning-rate schedule
            finished; by default the recipe's number of steps decides alone.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: How many GPUs of a node, or processes on its CPU, share every batch. They compute
            what one would, and a run may go on with another number. By default those that srun or
            torchrun started, or one. Without these the program is started anew for each. Only in
            the first of all this returns.
        nodes: How many nodes; by default those of srun or torchrun.

    Returns:
        The file of trained weights.

    Raises:
        InputError: If the recipe, its data, the folder or an earlier checkpoint cannot be used.
        KeyboardInterrupt: After Ctrl-C, the state being saved.
    """
    recipe = read_recipe(recipe_path, overrides, Recipe)
    limit = seconds(max_time) if max_time else None
    build(recipe.network, recipe.scale, recipe.task.channels)  # before scans take their time
    output = output or Path("runs") / recipe.name
    fabric = _launch(recipe, device, devices, nodes)
    try:
        return _train(fabric, recipe, output, limit)
    except ProcessesLost as error:
        host = socket.gethostname()
        line = f"process {fabric.global_rank} on {host}: another process of the run is gone"
        print(f"iconet: error: {line} ({error}); rerun the command to resume", file=sys.stderr)
        sys.exit(1)


def _train(fabric: Any, recipe: Recipe, output: Path, limit: float | None) -> Path:
    """Train in this process; returns in the first of all only, which speaks for them."""
    first = fabric.is_global_zero
    try:
        with nullcontext() if first else redirect_stdout(None):
            scans = _volumes(fabric, recipe, output)
        with noticed(fabric):
            loop = Loop(fabric, recipe, *scans, output)
        weights = loop.run(limit)
    except (InputError, KeyboardInterrupt, SystemExit):
        if first:
            raise
    if not first:
        sys.exit()
    return weights


def fit(
    recipe: Recipe,
    volumes: list[Volume],
    validation_volumes: list[Volume],
    *,
    output: Path,
    max_time: float | None = None,
    device: str = "auto",
    devices: int = 1,
) -> Path:
    """Train on volumes in memory; see :func:`train`. With several devices it returns in each."""
    fabric = _launch(recipe, device, devices, None)
    return Loop(fabric, recipe, volumes, validation_volumes, output).run(max_time)


def _volumes(fabric: Any, recipe: Recipe, output: Path) -> tuple[list[Volume], list[Volume]]:
    """Scans to learn from and, in the first process, to validate on; all can read them or none."""
    # Here and not above: training from prepared slices works without nibabel.
    from iconet.data.split_volumes import volumes_for

    square = recipe.task.kind == "through-plane"
    found: list[list[Volume]] = [[], []]
    problem = None
    try:
        found[0], _ = volumes_for(recipe.data, "train", output, square=square)
        if fabric.is_global_zero:
            found[1], _ = volumes_for(recipe.data, "validation", output, square=square)
    except InputError as error:
        problem = error
    agree(fabric, problem)
    return found[0], found[1]


def _launch(recipe: Recipe, device: str, devices: int | None, nodes: int | None) -> Any:
    precision = recipe.optimisation.precision
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(where))
    kind = "bf16-mixed" if bf16 else "32-true"
    partly = recipe.optimisation.grow > 0 or recipe.network.own
    return launch(device, devices, kind, nodes=nodes, partly=partly)
