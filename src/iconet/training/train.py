"""`iconet train`: from a recipe to a file of trained weights."""

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from iconet.data import Volume
from iconet.errors import InputError
from iconet.recipe_files import read_recipe
from iconet.runtime.hardware import has_fast_bf16
from iconet.training.loop import Loop
from iconet.training.processes import launch
from iconet.training.recipe import Recipe
from iconet.training.schedule import seconds


def train(
    recipe_path: Path,
    overrides: list[str] | None = None,
    *,
    output: Path | None = None,
    max_time: str | None = None,
    device: str = "auto",
    devices: int = 1,
) -> Path:
    """Train a network as a recipe says; go on where an earlier run of it stopped.

    A finished run goes on where its recipe asks for more steps than it did: the learning rate
    rises again to where it is on the longer schedule.

    The output folder receives ``checkpoint.safetensors`` (all that is needed to go on), TensorBoard
    logs, and ``<name>.safetensors``: the averaged weights that were best on the validation scans.
    Ctrl-C finishes the step at hand and saves it before it stops the run.

    Args:
        recipe_path: The YAML recipe.
        overrides: Changes to it, ``section.key=value``.
        output: Folder for the results, ``runs/<name>`` by default.
        max_time: Duration such as ``45m`` after which the run is over, its learning-rate schedule
            finished; by default the recipe's number of steps decides alone.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: How many GPUs, or processes on the CPU, share every batch. They compute what one
            would, and a run may go on with another number. The program is started anew for each,
            and only in the first this returns.

    Returns:
        The file of trained weights.

    Raises:
        InputError: If the recipe, its data, the folder or an earlier checkpoint cannot be used.
        KeyboardInterrupt: After Ctrl-C, the state being saved.
    """
    # Here and not above: training from prepared slices works without nibabel.
    from iconet.data.split_volumes import volumes_for

    recipe = read_recipe(recipe_path, overrides, Recipe)
    limit = seconds(max_time) if max_time else None
    output = output or Path("runs") / recipe.name
    fabric = _launch(recipe, device, devices)
    first = fabric.is_global_zero  # speaks for all
    try:
        with nullcontext() if first else redirect_stdout(None):
            square = recipe.task.kind == "through-plane"
            volumes, _ = volumes_for(recipe.data, "train", output, square=square)
            validation_volumes: list[Volume] = []
            if first:
                validation_volumes, _ = volumes_for(
                    recipe.data, "validation", output, square=square
                )
        weights = Loop(fabric, recipe, volumes, validation_volumes, output).run(limit)
    except (InputError, KeyboardInterrupt):
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
    fabric = _launch(recipe, device, devices)
    return Loop(fabric, recipe, volumes, validation_volumes, output).run(max_time)


def _launch(recipe: Recipe, device: str, devices: int) -> Any:
    precision = recipe.optimisation.precision
    where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(where))
    kind = "bf16-mixed" if bf16 else "32-true"
    return launch(device, devices, kind, partly=recipe.optimisation.grow > 0)
