"""Every model that the package ships is whole, small, described, and runs."""

import hashlib
import json
import re

import pytest
import torch

from iconet import zoo

SHIPPED = zoo.catalogue()
every_model = pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)


def test_the_package_ships_its_models() -> None:
    names = [entry.name for entry in SHIPPED]
    assert {"mri-x2", "mri-x4"} <= set(names)
    assert names == sorted(set(names))


@every_model
def test_the_file_is_the_recorded_one_and_small(entry: zoo.Entry) -> None:
    content = entry.path.read_bytes()
    assert len(content) < 12e6
    assert hashlib.sha256(content).hexdigest() == entry.sha256


@every_model
def test_the_file_says_the_same_as_the_catalogue(entry: zoo.Entry) -> None:
    model = zoo.load(entry.name)
    assert model.scale == entry.scale == json.loads(model.metadata["config"])["scale"]
    assert model.metadata["name"] == entry.name
    assert model.metadata["purpose"] == entry.purpose
    assert json.loads(model.metadata["recipe"])["name"] == entry.name


@every_model
def test_the_card_says_what_a_user_must_know(entry: zoo.Entry) -> None:
    card = entry.card.read_text("utf-8").lower()
    missing = [
        word
        for word in ("data", "licence", "degradations", "limits", "research use")
        if not re.search(rf"\b{word}\b", card)
    ]
    assert missing == []


@every_model
def test_it_runs_and_keeps_a_constant(entry: zoo.Entry) -> None:
    with torch.inference_mode():
        image = zoo.load(entry.name)(torch.full((1, 1, 32, 40), 300.0)).image
    assert image.shape == (1, 1, 32 * entry.scale, 40 * entry.scale)
    inside = image[..., 16:-16, 16:-16]
    torch.testing.assert_close(inside, torch.full_like(inside, 300.0), rtol=0.05, atol=0)
