"""The through-plane task, from the recipe to weights and their score."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import iconet
from iconet.data import Volume
from iconet.errors import InputError
from iconet.physics.kspace import resize_kspace
from iconet.physics.slice_profile import thick_slices
from iconet.training.recipe import Recipe
from iconet.training.state import recipe_text
from iconet.training.train import fit
from iconet.training.validation import Validation
from iconet.zoo.model import Model

from .small import make_recipe


def through_plane(**changes: object) -> Recipe:
    content = make_recipe(**changes).model_dump() | {"task": {"kind": "through-plane"}}
    return Recipe.model_validate(content)


def volume(count: int = 4) -> Volume:
    images = torch.zeros(count, 64, 48)
    images[:, 8:-8, 8:-8] = 0.6
    images[:, 20:30, 15:25] = 1
    return Volume("a/1/T1w", "a", images.half())


def test_training_writes_weights_that_know_what_they_are_for(tmp_path: Path) -> None:
    weights = fit(through_plane(), [volume()], [volume()], output=tmp_path, device="cpu")
    network = iconet.load(str(weights))
    assert Model.of(network).one_axis
    assert json.loads(network.metadata["recipe"])["slice_profile"]["gaussian"] == 0.5
    assert json.loads(network.metadata["validation"])["mean"] > 10


def test_runs_of_other_tasks_go_on_with_the_fingerprint_they_began_with() -> None:
    assert "slice_profile" not in json.loads(recipe_text(make_recipe()))
    assert "slice_profile" in json.loads(recipe_text(through_plane()))


def test_wrong_profiles_are_refused() -> None:
    recipe = through_plane().model_dump()
    recipe["slice_profile"] = {"gaussian": 0, "rect": 0, "kspace": 0}
    with pytest.raises(InputError, match="are not a mix"):
        fit(Recipe.model_validate(recipe), [volume()], [], output=Path("nowhere"), device="cpu")


class Knows(nn.Module):
    """Returns the truth with its columns zero-filled, off by a constant."""

    def forward(self, low: Tensor, intensity: Tensor, samples: None) -> SimpleNamespace:
        truth = volume(1).slices[:, None].float()
        torch.testing.assert_close(low, thick_slices(truth.mT, 2, profile="gaussian").mT)
        return SimpleNamespace(image=resize_kspace(truth + 0.1, (64, 96)))


def test_the_score_is_that_of_the_rows_alone() -> None:
    scores = Validation([volume(1)], 2, torch.device("cpu"), through_plane=True)(Knows())
    assert scores["mean"] == pytest.approx(20.0, abs=1e-3)
