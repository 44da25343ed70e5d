"""The training loop."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from contextlib import closing, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from iconet.data import JointSampler, Sampler, ThroughPlaneSampler, Volume
from iconet.errors import InputError
from iconet.network import ICONet, collaboration_loss
from iconet.physics.degradation import DegradationMix
from iconet.physics.slice_mix import SliceMix
from iconet.recipe_files import read_recipe
from iconet.runtime.hardware import has_fast_bf16, processor_name
from iconet.training.architecture import build, describe
from iconet.training.checkpoint import load_checkpoint, save_checkpoint, write_safetensors
from iconet.training.interruption import Interruption
from iconet.training.loader import batches, spare_cores
from iconet.training.muon import Muon
from iconet.training.processes import Agreement, launch, lightning
from iconet.training.recipe import SMALLEST_INPUT, Optimisation, Recipe
from iconet.training.reporter import Reporter
from iconet.training.schedule import learning_rate, progress, seconds, stages_in_training
from iconet.training.validation import ACQUISITION, Validation


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
    from iconet.data.loading import volumes_for

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
        weights = _run(fabric, recipe, volumes, validation_volumes, output, limit)
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
    return _run(fabric, recipe, volumes, validation_volumes, output, max_time)


def _launch(recipe: Recipe, device: str, devices: int) -> Any:
    precision = recipe.optimisation.precision
    bf16 = precision == "bf16" or (precision == "auto" and _bf16_is_fast(device))
    kind = "bf16-mixed" if bf16 else "32-true"
    return launch(device, devices, kind, partly=recipe.optimisation.grow > 0)


def _run(
    fabric: Any,
    recipe: Recipe,
    volumes: list[Volume],
    validation_volumes: list[Volume],
    output: Path,
    max_time: float | None,
) -> Path:
    options = recipe.optimisation
    sampler = _sampler(recipe, volumes, fabric.global_rank, fabric.world_size)
    lightning().seed_everything(recipe.seed, verbose=False)
    network = build(recipe.network, recipe.scale, recipe.task.channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.start_from:
        _start_from(network, recipe.start_from)
    averaged = copy.deepcopy(network).to(fabric.device).eval()
    optimizer = make_optimizer(recipe, network)
    model, optimizer = fabric.setup(network, optimizer)
    average: list[Tensor] = list(averaged.parameters())
    newest: list[Tensor] = list(network.parameters())
    validate = _validation(recipe, validation_volumes, fabric.device)

    checkpoint, weights = output / "checkpoint.safetensors", output / f"{recipe.name}.safetensors"
    state: dict[str, Any] = {
        "step": 0,
        "elapsed": 0.0,  # seconds of the run
        "stepping": 0.0,  # seconds of these in steps, not in validation
        "waiting": 0.0,  # seconds of these for batches
        "best": None,
        "recipe": _fingerprint(recipe),
        "depth": 1,  # stages that have been trained
        "extended": [],  # steps at which the run had been over, before the recipe asked for more
    }
    if checkpoint.exists():
        found = load_checkpoint(checkpoint, network, averaged.state_dict(), optimizer)
        if _without_steps(found["recipe"]) != _without_steps(state["recipe"]):
            raise InputError(f"{checkpoint}: of another recipe; delete it or choose another folder")
        extended = found.get("extended", [])
        if found["step"] == json.loads(found["recipe"])["optimisation"]["steps"] < options.steps:
            extended = [*extended, found["step"]]
        state = {**found, "recipe": state["recipe"], "extended": extended}

    first = fabric.is_global_zero  # the only process that validates, writes and prints
    agree = Agreement(fabric.world_size)
    loader = batches(
        sampler,
        state["step"],
        options.steps,
        workers=spare_cores(fabric.device, fabric.world_size),
        pin=fabric.device.type == "cuda",
    )
    clock = time.monotonic() - state["elapsed"]
    with (
        Reporter(output) if first else nullcontext() as report,
        Interruption() as interruption,
        closing(loader),
    ):
        while True:
            step = state["step"]
            state["elapsed"], stop = agree(time.monotonic() - clock, interruption.wanted)
            done = progress(step, options.steps, state["elapsed"], max_time)
            due = (step > 0 and step % options.validate_every == 0) or done >= 1
            if report and due:
                scores = validate(averaged) if validate.pairs else {"mean": 0.0}
                report.validation(step, scores)
                # Without validation scans the newest weights are the best known.
                if state["best"] is None or scores["mean"] >= state["best"]["mean"]:
                    state["best"] = {**scores, "step": step}
                    metadata = _metadata(recipe, state, fabric)
                    write_safetensors(averaged.state_dict(), weights, metadata)
            if report and (due or stop):
                save_checkpoint(checkpoint, network, averaged.state_dict(), optimizer, state)
            if done >= 1 or stop:
                # The others are there until the first has written what it must.
                fabric.barrier()
            if done >= 1:
                break
            if stop:
                if report:
                    report.interrupted(step)
                raise KeyboardInterrupt
            rate = learning_rate(options.learning_rate, step, options.warm_up, done)
            for group in optimizer.param_groups:
                group["lr"] = rate
            begin = time.monotonic()
            batch = fabric.to_device(next(loader))
            state["waiting"] += time.monotonic() - begin
            intensity = torch.ones_like(batch.low[:, :1, :1, :1])
            part = _grown(done, options, state, network, averaged) if options.grow else {}
            predicted = model(batch.low, intensity, samples=batch.samples, **part)
            loss = collaboration_loss(predicted, batch.clean, **recipe.loss.model_dump())
            optimizer.zero_grad()
            fabric.backward(loss)
            # Whether the norm is a number is not asked here, which would wait for the GPU.
            fabric.clip_gradients(model, optimizer, max_norm=options.clip, error_if_nonfinite=False)
            optimizer.step()
            decay = min(options.ema, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(average, newest, 1 - decay)
            state["step"] = step + 1
            state["stepping"] += time.monotonic() - begin
            if report:
                report.step(step + 1, loss, rate, done, *_throughput(recipe, state))
    return weights


def make_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a recipe asks for."""
    options = recipe.optimisation
    shared: dict[str, Any] = {
        "lr": options.learning_rate,
        "betas": (0.9, 0.99),
        "weight_decay": options.weight_decay,
    }
    if options.optimiser == "muon":
        return Muon(network, **shared)
    return torch.optim.AdamW(network.parameters(), fused=True, **shared)


def _sampler(
    recipe: Recipe, volumes: list[Volume], rank: int, world: int
) -> Sampler | JointSampler:
    data, options, task = recipe.data, recipe.optimisation, recipe.task
    if not volumes:
        raise InputError(f"{data.root}: no training scan could be used")
    datasets = {volume.dataset for volume in volumes}
    for name in data.weights:
        if name not in datasets:
            there = ", ".join(sorted(datasets))
            raise InputError(f"data.weights: no training scan is of '{name}'; there are {there}")
    shared: dict[str, Any] = {
        "weights": data.weights,
        "scale": recipe.scale,
        "patch": options.patch,
        "batch": options.batch,
        "seed": recipe.seed,
        "device": torch.device("cpu"),  # by the workers, while a GPU has better to do
        "rank": rank,
        "world": world,
    }
    if task.kind == "joint":
        acquisition, known = task.acquisition(), task.known_samples
        return JointSampler(volumes, acquisition=acquisition, known_samples=known, **shared)
    if task.kind == "through-plane":
        slices = SliceMix(**recipe.slice_profile.model_dump())
        return ThroughPlaneSampler(volumes, mix=slices, **shared)
    return Sampler(volumes, mix=DegradationMix(**recipe.degradation.model_dump()), **shared)


def _validation(recipe: Recipe, volumes: list[Volume], device: torch.device) -> Validation:
    smallest = SMALLEST_INPUT * recipe.scale
    return Validation(
        [volume for volume in volumes if min(volume.slices.shape[1:]) >= smallest],
        recipe.scale,
        device,
        acquisition=ACQUISITION if recipe.task.kind == "joint" else None,
        known_samples=recipe.task.known_samples,
        through_plane=recipe.task.kind == "through-plane",
    )


def _throughput(recipe: Recipe, state: dict[str, Any]) -> tuple[float, float]:
    """Patches a second, and the share of the time that a step waits for its batch."""
    patches = state["step"] * recipe.optimisation.batch
    return patches / state["stepping"], state["waiting"] / state["stepping"]


def _grown(
    done: float, options: Optimisation, state: dict[str, Any], *networks: nn.Module
) -> dict[str, int]:
    """What to train of the cascade now; a stage begins as the one before it."""
    for network in networks:
        assert isinstance(network, ICONet)  # the recipe's schema has seen to it
        depth = stages_in_training(len(network.stages), options.grow, done)
        if depth > state["depth"]:
            _begin_stages(network, network.state_dict(), state["depth"])
    state["depth"] = max(state["depth"], depth)
    return {"depth": state["depth"]}


def _start_from(network: nn.Module, weights: str) -> None:
    """Begin with trained weights: every stage as theirs of the same number, or as their last.

    All stages do the same, 2x.
    """
    from iconet.zoo import load

    trained = load(weights)
    if not isinstance(network, ICONet):
        raise InputError(f"start_from {weights}: is for ICONet alone; remove it")
    if replace(trained.config, scale=network.scale) != network.config:
        raise InputError(f"start_from {weights}: a network of another size; set size to match")
    _begin_stages(network, trained.state_dict(), len(trained.stages))


def _begin_stages(network: nn.Module, given: dict[str, Tensor], stages: int) -> None:
    """Every stage as that of the same number of the given ones, or as their last."""
    last = stages - 1
    own = network.state_dict()
    for name in own:
        kind, number, *rest = name.split(".")
        if kind == "stages":
            own[name] = given.get(".".join([kind, str(min(int(number), last)), *rest]), own[name])
        elif name in given:
            own[name] = given[name]
    network.load_state_dict(own)


def _bf16_is_fast(device: str) -> bool:
    on_gpu = device != "cpu" and torch.cuda.is_available()
    return has_fast_bf16(torch.device("cuda" if on_gpu else "cpu"))


def _fingerprint(recipe: Recipe) -> str:
    return recipe.model_dump_json(exclude={"data": {"root"}})


def _without_steps(fingerprint: str) -> dict[str, Any]:
    """What two runs have in common of which one is the other trained for longer."""
    content: dict[str, Any] = json.loads(fingerprint)
    del content["optimisation"]["steps"]
    return content


def _metadata(recipe: Recipe, state: dict[str, Any], fabric: Any) -> dict[str, str]:
    """What a file of weights says of itself."""
    speed, waiting = _throughput(recipe, state)
    return {
        "format": "iconet",
        "name": recipe.name,
        "purpose": recipe.purpose,
        **describe(recipe),
        "recipe": _fingerprint(recipe),
        "trained_steps": str(state["step"]),
        "extended": json.dumps(state["extended"]),
        "trained_seconds": str(round(state["elapsed"])),
        "patches_per_second": f"{speed:.1f}",
        "waiting": f"{waiting:.3f}",
        "validation": json.dumps(state["best"]),
        "commit": _commit(),
        "torch": torch.__version__,
        "device": processor_name()
        if fabric.device.type == "cpu"
        else torch.cuda.get_device_name(fabric.device),
        "processes": str(fabric.world_size),
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
