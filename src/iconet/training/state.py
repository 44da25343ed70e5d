"""Where a run stands, and what its checkpoint and its weights say of it."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from iconet.errors import InputError
from iconet.runtime.hardware import processor_name
from iconet.training.architecture import architecture_metadata
from iconet.training.recipe import Recipe


@dataclass
class RunState:
    """Where a run stands; its fields, in this order, are what a checkpoint says of it.

    Attributes:
        step: Finished steps.
        elapsed: Seconds of the run.
        stepping: Seconds of these in steps, not in validation.
        waiting: Seconds of these for batches.
        best: Scores of the best validation, and its step.
        recipe: See `recipe_text`.
        depth: Stages that have been trained.
        extended: Steps at which the run had been over, before the recipe asked for more.
        start: Mean score of the weights that it started from; None if it began with nothing.
    """

    step: int = 0
    elapsed: float = 0.0
    stepping: float = 0.0
    waiting: float = 0.0
    best: dict[str, float] | None = None
    recipe: str = ""
    depth: int = 1
    extended: list[int] = field(default_factory=list)
    start: float | None = None

    @classmethod
    def resumed(cls, found: dict[str, Any], recipe: Recipe, checkpoint: Path) -> "RunState":
        """Of what a checkpoint says, for a recipe that may ask for more steps than it did.

        Raises:
            InputError: If the checkpoint is of another recipe.
        """
        state = cls(**{**found, "recipe": recipe_text(recipe)})
        if _without_steps(found["recipe"]) != _without_steps(state.recipe):
            raise InputError(f"{checkpoint}: of another recipe; delete it or choose another folder")
        asked = json.loads(found["recipe"])["optimisation"]["steps"]
        if state.step == asked < recipe.optimisation.steps:
            state.extended.append(state.step)
        return state

    def throughput(self, batch: int) -> tuple[float, float]:
        """Patches a second, and the share of the time that a step waits for its batch."""
        if not self.stepping:  # weights that a run started from
            return 0.0, 0.0
        return self.step * batch / self.stepping, self.waiting / self.stepping


def recipe_text(recipe: Recipe) -> str:
    """A recipe as text, without the folder of its data, which may move."""
    return recipe.model_dump_json(exclude={"data": {"root"}})


def weights_metadata(recipe: Recipe, state: RunState, fabric: Any) -> dict[str, str]:
    """What a file of weights says of itself."""
    speed, waiting = state.throughput(recipe.optimisation.batch)
    return {
        "format": "iconet",
        "name": recipe.name,
        "purpose": recipe.purpose,
        **architecture_metadata(recipe),
        "recipe": state.recipe,
        "trained_steps": str(state.step),
        "extended": json.dumps(state.extended),
        "trained_seconds": str(round(state.elapsed)),
        "patches_per_second": f"{speed:.1f}",
        "waiting": f"{waiting:.3f}",
        "validation": json.dumps(state.best),
        "commit": _commit(),
        "torch": torch.__version__,
        "device": processor_name()
        if fabric.device.type == "cpu"
        else torch.cuda.get_device_name(fabric.device),
        "processes": str(fabric.world_size),
    }


def _without_steps(recipe: str) -> dict[str, Any]:
    """What two runs have in common if one is the other trained for longer."""
    content: dict[str, Any] = json.loads(recipe)
    del content["optimisation"]["steps"]
    return content


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
