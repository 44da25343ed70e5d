"""What a recipe asks for: sampler, optimizer, validation."""

from pathlib import Path

import pytest
import torch
from torch import nn

from iconet.data import JointSampler, Sampler, ThroughPlaneSampler, Volume
from iconet.data.selection import Data
from iconet.errors import InputError
from iconet.training import fit
from iconet.training.muon import Muon
from iconet.training.parts import make_optimizer, make_sampler
from iconet.training.recipe import Recipe

from .small import make_recipe, metadata, run


def test_validation_scans_too_small_for_the_network_are_left_out(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    small = Volume("small", "a", torch.ones(4, 24, 40).half())
    path = fit(recipe, volumes, [*volumes, small], output=tmp_path / "with", device="cpu")
    expected = run(recipe, volumes, tmp_path / "without")
    assert metadata(path)["validation"] == metadata(expected)["validation"]


def test_no_training_scan_at_all_is_said(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no training scan could be used"):
        run(recipe, [], tmp_path)


def test_a_weight_for_a_data_set_without_scans_is_refused(
    volumes: list[Volume], tmp_path: Path
) -> None:
    recipe = make_recipe()
    misspelt = Data(root=Path("nowhere"), weights={"a": 1.0, "ds00": 0.5})
    with pytest.raises(InputError, match=r"data\.weights: .* 'ds00'; there are a, b"):
        run(recipe.model_copy(update={"data": misspelt}), volumes, tmp_path)


@pytest.mark.parametrize(("optimiser", "kind"), [("muon", Muon), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_has_the_recipes_rate_and_decay(optimiser: str, kind: type) -> None:
    recipe = make_recipe(optimiser=optimiser, learning_rate=3e-4, weight_decay=0.02)
    made = make_optimizer(recipe, nn.Conv2d(4, 4, 3))
    assert type(made) is kind
    for group in made.param_groups:
        assert (group["lr"], group["weight_decay"]) == (3e-4, 0.02)


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ({"kind": "super-resolution"}, Sampler),
        ({"kind": "joint"}, JointSampler),
        ({"kind": "joint", "known_samples": True}, JointSampler),
        ({"kind": "through-plane"}, ThroughPlaneSampler),
    ],
)
def test_each_task_has_its_sampler(task: dict, kind: type, volumes: list[Volume]) -> None:
    recipe = Recipe.model_validate({**make_recipe().model_dump(), "task": task})
    made = make_sampler(recipe, volumes, 0, 1)
    assert type(made) is kind
