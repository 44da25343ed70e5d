"""The training loop."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iconet.data import Sampler, Volume, load_volume, read_splits
from iconet.errors import InputError
from iconet.network import SIZES, ICONet, collaboration_loss
from iconet.physics.degradation import DegradationMix
from iconet.training.checkpoint import load_checkpoint, save_checkpoint, write_safetensors
from iconet.training.interruption import Interruption
from iconet.training.progress import Reporter
from iconet.training.recipe import SMALLEST_INPUT, Recipe, read_recipe
from iconet.training.schedule import learning_rate, progress, seconds
from iconet.training.validation import Validation


def train(
    recipe_path: Path,
    overrides: list[str] | None = None,
    *,
    output: Path | None = None,
    max_time: str | None = None,
    device: str = "auto",
) -> Path:
    """Train a network as a recipe says; go on where an earlier run of it stopped.

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

    Returns:
        The file of trained weights.

    Raises:
        InputError: If the recipe, its data, the folder or an earlier checkpoint cannot be used.
        KeyboardInterrupt: After Ctrl-C, the state being saved.
    """
    recipe = read_recipe(recipe_path, overrides)
    limit = seconds(max_time) if max_time else None
    output = output or Path("runs") / recipe.name
    return fit(
        recipe,
        _volumes(recipe, "train"),
        _volumes(recipe, "validation"),
        output=output,
        max_time=limit,
        device=device,
    )


def fit(
    recipe: Recipe,
    volumes: list[Volume],
    validation_volumes: list[Volume],
    *,
    output: Path,
    max_time: float | None = None,
    device: str = "auto",
) -> Path:
    """Train on volumes in memory; see :func:`train`."""
    lightning = _lightning()

    if not volumes:
        raise InputError(f"{recipe.data.root}: no training scan could be used")
    options = recipe.optimisation
    bf16 = options.precision == "bf16" or (options.precision == "auto" and _bf16_is_fast(device))
    fabric = lightning.Fabric(
        accelerator=device, devices=1, precision="bf16-mixed" if bf16 else "32-true"
    )
    lightning.seed_everything(recipe.seed, verbose=False)
    network = ICONet(recipe.scale, **SIZES[recipe.size])
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.start_from:
        _start_from(network, recipe.start_from)
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=options.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=options.weight_decay,
    )
    model, optimizer = fabric.setup(network, optimizer)
    average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    averaged = ICONet(recipe.scale, **SIZES[recipe.size]).to(fabric.device)

    sampler = Sampler(
        volumes,
        weights=recipe.data.weights,
        scale=recipe.scale,
        patch=options.patch,
        batch=options.batch,
        mix=DegradationMix(**recipe.degradation.model_dump()),
        seed=recipe.seed,
        device=fabric.device,
    )
    smallest = SMALLEST_INPUT * recipe.scale
    large = [v for v in validation_volumes if min(v.slices.shape[1:]) >= smallest]
    validate = Validation(large, recipe.scale, fabric.device)
    checkpoint, weights = output / "checkpoint.safetensors", output / f"{recipe.name}.safetensors"
    state: dict[str, Any] = {
        "step": 0,
        "elapsed": 0.0,
        "best": None,
        "recipe": _fingerprint(recipe),
    }
    if checkpoint.exists():
        found = load_checkpoint(checkpoint, network, average, optimizer)
        if found["recipe"] != state["recipe"]:
            raise InputError(f"{checkpoint}: of another recipe; delete it or choose another folder")
        state = found

    clock = time.monotonic() - state["elapsed"]
    with Reporter(output) as report, Interruption() as interruption:
        while True:
            step = state["step"]
            state["elapsed"] = time.monotonic() - clock
            done = progress(step, options.steps, state["elapsed"], max_time)
            due = (step > 0 and step % options.validate_every == 0) or done >= 1
            if due:
                averaged.load_state_dict(average)
                scores = validate(averaged.eval()) if validate.pairs else {"mean": 0.0}
                report.validation(step, scores)
                # Without validation scans the newest weights are the best known.
                if state["best"] is None or scores["mean"] >= state["best"]["mean"]:
                    state["best"] = {**scores, "step": step}
                    metadata = _metadata(recipe, state, fabric.device)
                    write_safetensors(averaged.state_dict(), weights, metadata)
            if due or interruption.wanted:
                save_checkpoint(checkpoint, network, average, optimizer, state)
            if done >= 1:
                break
            if interruption.wanted:
                report.interrupted(step)
                raise KeyboardInterrupt
            rate = learning_rate(options.learning_rate, step, options.warm_up, done)
            for group in optimizer.param_groups:
                group["lr"] = rate
            low, clean, _ = sampler(step)
            predicted = model(low, torch.ones_like(low[:, :, :1, :1]))
            loss = collaboration_loss(predicted, clean, **recipe.loss.model_dump())
            optimizer.zero_grad()
            fabric.backward(loss)
            fabric.clip_gradients(model, optimizer, max_norm=options.clip)
            optimizer.step()
            _update_average(average, network, min(options.ema, (1 + step) / (10 + step)))
            state["step"] = step + 1
            report.step(step + 1, loss, rate, done, options.batch)
    return weights


def _lightning() -> Any:
    """Lightning Fabric, alone or as a part of the complete package ``lightning``."""
    try:
        import lightning_fabric
    except ModuleNotFoundError:
        return import_module("lightning.fabric")
    return lightning_fabric


def _volumes(recipe: Recipe, split: str) -> list[Volume]:
    """Scans of a split; a damaged one is named and left out."""
    volumes, damaged = [], 0
    for row in read_splits(recipe.data.root, recipe.data.splits, split):
        name = f"{row['dataset']}/{row['subject']}/{row['contrast']}"
        try:
            path = recipe.data.root / row["path"]
            volumes.append(load_volume(path, row["sharp_plane"], name, row["dataset"]))
        except InputError as error:
            damaged += 1
            print(f"left out: {error}", flush=True)
    print(f"{split}: {len(volumes)} scans, {damaged} left out", flush=True)
    return volumes


def _update_average(average: dict[str, Tensor], network: torch.nn.Module, decay: float) -> None:
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            average[name].lerp_(tensor, 1 - decay)


def _start_from(network: ICONet, weights: str) -> None:
    """Begin every stage as the first stage of trained weights; they all do the same, 2x."""
    from iconet.zoo import load

    trained = load(weights)
    if {**trained.config, "scale": network.scale} != network.config:
        raise InputError(f"start_from {weights}: a network of another size; set size to match")
    first = trained.state_dict()
    own = network.state_dict()
    for name in own:
        own[name] = first.get(re.sub(r"^stages\.\d+", "stages.0", name), own[name])
    network.load_state_dict(own)


def _bf16_is_fast(device: str) -> bool:
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()


def _fingerprint(recipe: Recipe) -> str:
    return recipe.model_dump_json(exclude={"data": {"root"}})


def _metadata(recipe: Recipe, state: dict[str, Any], device: torch.device) -> dict[str, str]:
    """What a file of weights says of itself."""
    config = ICONet(recipe.scale, **SIZES[recipe.size]).config
    return {
        "format": "iconet",
        "name": recipe.name,
        "purpose": recipe.purpose,
        "config": json.dumps(config),
        "recipe": _fingerprint(recipe),
        "trained_steps": str(state["step"]),
        "trained_seconds": str(round(state["elapsed"])),
        "validation": json.dumps(state["best"]),
        "commit": _commit(),
        "torch": torch.__version__,
        "device": platform.processor() or platform.machine()
        if device.type == "cpu"
        else torch.cuda.get_device_name(device),
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
