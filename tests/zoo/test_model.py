"""What others may know of a trained network."""

import json

import pytest

import iconet
from iconet import zoo
from iconet.errors import InputError
from iconet.zoo.model import Model, open_model

TASKS = {"mri-x2": "super-resolution", "mri-slice-x4": "through-plane", "mri-x4-joint": "joint"}


@pytest.mark.parametrize("name", TASKS)
def test_shipped_models_say_what_they_are_for(name):
    entry = next(entry for entry in zoo.catalogue() if entry.name == name)
    model = open_model(name, kind="")
    assert (model.name, model.purpose, model.sha256) == (name, entry.purpose, entry.sha256)
    assert (model.task, model.scale) == (TASKS[name], entry.scale)
    assert model.one_axis == ("slice" in name)
    assert model.channels == (2 if "joint" in name else 1)
    assert sum(model.degradation[kind] for kind in model.degradation if kind == "kspace") > 0
    for word in (entry.sha256, f"width {model.network.width}", TASKS[name]):
        assert word in model.details


def test_a_network_without_a_file_is_described_by_what_it_is(model):
    described = Model.of(model)
    assert (described.name, described.purpose, described.sha256) == (None, None, None)
    assert described.degradation is None and not described.one_axis
    assert "not loaded from a file" in described.details


@pytest.mark.parametrize("recipe", ["[]", "{", '{"task": 1}', json.dumps({"degradation": 3})])
def test_a_recipe_that_says_nothing_is_no_reason_to_fail(model, recipe):
    model.metadata = {"recipe": recipe}
    described = Model.of(model)
    assert (described.task, described.degradation) == ("super-resolution", None)


def test_the_scale_and_the_kind_of_image_must_fit(model):
    assert open_model(model, scale=2).network is model
    with pytest.raises(InputError, match="2x, not 4x"):
        open_model(model, scale=4)
    with pytest.raises(InputError, match="scale 3 is not available: use 2 or 4"):
        open_model(scale=3)
    with pytest.raises(InputError, match="choose mri-x2"):
        open_model(iconet.ICONet(channels=2, width=8))
