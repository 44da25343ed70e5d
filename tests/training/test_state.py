"""Where a run stands, and what its checkpoint and weights say of it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from iconet.data import Volume
from iconet.data.selection import Data
from iconet.errors import InputError
from iconet.training.recipe import Recipe
from iconet.training.state import RunState, recipe_text, weights_metadata

from .small import make_recipe, run


def test_a_checkpoint_of_another_recipe_is_refused(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    run(recipe, volumes, tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"checkpoint\.safetensors: of another recipe") as error:
        run(make_recipe(learning_rate=2e-3), volumes, tmp_path)
    assert "\n" not in str(error.value)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def found(recipe: Recipe, **changes: object) -> dict[str, object]:
    """What a checkpoint of a recipe says."""
    return {**vars(RunState(recipe=recipe_text(recipe))), **changes}


def test_the_folder_of_the_data_is_no_part_of_a_recipe(recipe: Recipe) -> None:
    moved = recipe.model_copy(update={"data": Data(root=Path("elsewhere"))})
    assert recipe_text(moved) == recipe_text(recipe)
    assert recipe_text(make_recipe(learning_rate=2e-3)) != recipe_text(recipe)


def test_a_run_goes_on_where_it_was(recipe: Recipe) -> None:
    said = found(recipe, step=5, elapsed=2.5, best={"mean": 30.0, "step": 3}, depth=2)
    state = RunState.resumed(said, recipe, Path("checkpoint"))
    assert vars(state) == said
    assert state.extended == []


def test_only_the_number_of_steps_may_differ_and_a_run_that_was_over_is_extended(
    recipe: Recipe,
) -> None:
    longer = make_recipe(steps=recipe.optimisation.steps + 3)
    cut = RunState.resumed(found(recipe, step=5), longer, Path("checkpoint"))
    assert cut.extended == [] and cut.recipe == recipe_text(longer)
    over = RunState.resumed(
        found(recipe, step=recipe.optimisation.steps), longer, Path("checkpoint")
    )
    assert over.extended == [recipe.optimisation.steps]
    with pytest.raises(InputError, match=r"^checkpoint: of another recipe; delete it or choose"):
        RunState.resumed(found(make_recipe(patch=64)), recipe, Path("checkpoint"))


def test_speed_is_that_of_the_steps_alone() -> None:
    state = RunState(step=10, elapsed=100.0, stepping=20.0, waiting=5.0)
    assert state.throughput(batch=4) == (2.0, 0.25)


def test_weights_say_all_that_is_known_of_their_run_as_texts(recipe: Recipe) -> None:
    state = RunState(10, 99.6, 20.0, 5.0, {"mean": 30.0, "step": 6}, recipe_text(recipe), 1, [8])
    fabric = SimpleNamespace(device=torch.device("cpu"), world_size=3)
    said = weights_metadata(recipe, state, fabric)
    assert all(isinstance(value, str) for value in said.values())
    assert (said["format"], said["name"], said["purpose"]) == ("iconet", "small", "tests")
    assert (said["trained_steps"], said["trained_seconds"]) == ("10", "100")
    assert (said["patches_per_second"], said["waiting"]) == ("2.0", "0.250")
    assert json.loads(said["validation"]) == state.best and json.loads(said["extended"]) == [8]
    assert (said["recipe"], said["processes"]) == (state.recipe, "3")
    assert said["device"] and said["commit"] and said["torch"] == torch.__version__
