"""The training runs of a benchmark: each in its folder, never done twice, one worker at a time."""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from iconet.claims import claim
from iconet.errors import InputError
from iconet.evaluation.benchmark_recipe import BenchmarkRecipe, Condition, Entrant
from iconet.files import complete_file, sha256_of
from iconet.recipe_files import first_problem
from iconet.training.recipe import Recipe

if TYPE_CHECKING:
    from iconet.data import Volume


@dataclass(frozen=True)
class Finished:
    """A run that has its final weights.

    Attributes:
        weights: Their file.
        sha256: Of that file.
        validation: Mean PSNR in dB on validation slices, by which learning rates are chosen.
        steps: That it was trained for.
        seconds: Of the worker that finished it, from its last start.
    """

    weights: Path
    sha256: str
    validation: float
    steps: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """One network trained under one condition from one seed.

    The folder's name ends in a hash of the training recipe: another recipe is another run, and
    what has final weights for this recipe is not trained again.
    """

    condition: Condition
    network: Entrant
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def finished(self) -> Finished | None:
        """What came out, if the run has ended."""
        try:
            content = json.loads((self.folder / "finished.json").read_text())
        except FileNotFoundError:
            return None
        weights = self.folder / content.pop("weights")
        return Finished(weights, **content) if weights.exists() else None

    def train(self, volumes: Volumes, *, device: str) -> Finished:
        """Train, going on from the checkpoint of an interrupted attempt."""
        from iconet.training import fit

        start = time.monotonic()
        weights = fit(
            self.recipe,
            volumes(self.recipe, "train"),
            volumes(self.recipe, "validation"),
            output=self.folder,
            device=device,
        )
        finished = Finished(
            weights,
            sha256_of(weights),
            _validation(weights),
            self.recipe.optimisation.steps,
            round(time.monotonic() - start, 1),
        )
        content = json.dumps({**vars(finished), "weights": weights.name})
        with complete_file(self.folder / "finished.json") as file:
            file.write(content.encode("utf-8"))
        # Three times as large as the weights, and of no more use.
        (self.folder / "checkpoint.safetensors").unlink(missing_ok=True)
        return finished


class Volumes:
    """Training scans, read when the first run needs them and kept for the next."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.kept: dict[tuple[str, str], list[Volume]] = {}

    def __call__(self, recipe: Recipe, split: str) -> list[Volume]:
        """The scans of a split."""
        from iconet.data.split_volumes import volumes_for

        key = (recipe.data.model_dump_json(exclude={"weights"}), split)
        if key not in self.kept:
            self.kept[key], _ = volumes_for(recipe.data, split, self.output)
        return self.kept[key]


def plan_run(
    recipe: BenchmarkRecipe,
    condition: Condition,
    network: Entrant,
    seed: int,
    *,
    steps: int,
    learning_rate: float,
    tuning: bool = False,
) -> Run:
    """The run of a network under a condition.

    Raises:
        InputError: The sections ``training`` and ``network`` make no training recipe.
    """
    content: dict[str, Any] = {}
    for part in (recipe.training, condition.training, network.training):
        content = _merged(content, part)
    data = recipe.data.model_dump(mode="json", exclude_unset=True)
    task = {"kind": condition.task, "known_samples": condition.known_samples}
    optimisation: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate}
    if recipe.precision != "auto":
        optimisation["precision"] = recipe.precision
    fixed = {
        "name": re.sub(r"\W+", "-", network.name),
        "purpose": f"benchmark: {network.name} under {condition.name}",
        "scale": condition.scale,
        "seed": seed,
        "network": network.network,
        "data": data,
        "task": task,
        "optimisation": optimisation,
    }
    try:
        training = Recipe.model_validate(_merged(content, fixed))
    except ValidationError as error:
        raise InputError(
            f"{network.name} under {condition.name}: {first_problem(error, Recipe)}"
        ) from None
    text = training.model_dump_json(exclude={"data": {"root"}})
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    parts = [condition.name, network.name, f"seed{seed}", *(["tuning"] if tuning else []), digest]
    folder = recipe.output / "runs" / re.sub(r"[^\w.+-]+", "-", "_".join(parts))
    return Run(condition, network, seed, training, folder)


def lock(output: Path, name: str, *, wait: bool = False) -> AbstractContextManager[bool]:
    """Hold the lock of that name in a benchmark's folder, see `iconet.claims.claim`."""
    return claim(output / "locks" / f"{name}.lock", wait=wait)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Sections within sections; what ``changes`` says counts."""
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            value = _merged(inner, value)
        merged[key] = value
    return merged


def _validation(weights: Path) -> float:
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        return float(json.loads(file.metadata()["validation"])["mean"])
