"""A network starts from trained weights, stage by stage."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import iconet
from iconet.data import Volume
from iconet.errors import InputError
from iconet.training import fit
from iconet.training.checkpoint import write_safetensors
from iconet.training.initial_weights import start_from
from iconet.training.recipe import Recipe

from .small import NARROW


def test_a_network_can_start_from_a_trained_one(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    first = fit(recipe, volumes, volumes, output=tmp_path / "x2", device="cpu")
    trained = load_file(first)
    network = iconet.ICONet(4, **NARROW)
    start_from(network, str(first))
    for name, tensor in network.state_dict().items():
        if name.startswith("stages."):
            assert torch.equal(tensor, trained[f"stages.0.{name.split('.', 2)[2]}"])


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_every_stage_starts_as_the_trained_one_of_its_number(scale: int, tmp_path: Path) -> None:
    trained = iconet.ICONet(4, **NARROW)
    for tensor in trained.state_dict().values():
        tensor.uniform_(-1, 1)
    file = tmp_path / "x4.safetensors"
    config = json.dumps(asdict(trained.config))
    write_safetensors(trained.state_dict(), file, {"format": "iconet", "config": config})
    network = iconet.ICONet(scale, **NARROW)
    start_from(network, str(file))
    given = trained.state_dict()
    for name, tensor in network.state_dict().items():
        of_the_last = name.replace("stages.2.", "stages.1.").replace("handovers.1", "own.1")
        if of_the_last in given:
            assert torch.equal(tensor, given[of_the_last])
        else:
            assert not tensor.any()  # a hand-over that was not there begins with nothing


def test_starting_from_a_network_of_another_size_is_refused(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    first = fit(recipe, volumes, volumes, output=tmp_path / "x2", device="cpu")
    wider = iconet.ICONet(2, **{**NARROW, "width": 24})
    with pytest.raises(InputError, match="another size"):
        start_from(wider, str(first))
