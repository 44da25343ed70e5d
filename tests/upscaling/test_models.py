"""Which network takes which step."""

from types import SimpleNamespace

import pytest

from iconet import zoo
from iconet.errors import InputError
from iconet.images.kind import Kind
from iconet.upscaling.models import Models, Step
from iconet.zoo.model import Model

from .conftest import Linear, package


def test_the_package_has_a_model_for_each_kind_of_step(monkeypatch):
    def load(name, device):
        network = Linear()
        network.metadata = {"name": name}
        return network

    monkeypatch.setattr(zoo, "load", load)
    models = package()
    names = ["mri-x2", "mri-x4", "mri-slice-x2", "mri-slice-x4"]
    monkeypatch.setattr(zoo, "catalogue", lambda: [SimpleNamespace(name=name) for name in names])
    assert models(Step((0, 1), 2)) is models.chosen
    assert models(Step((0, 1), 4)).name == "mri-x4"
    assert models(Step((2,), 2)).name == "mri-slice-x2"
    assert models(Step((2,), 4)).name == "mri-slice-x4"
    mine = Models(Model.of(Linear(2)))
    assert mine(Step((2,), 2)) is mine.chosen


def test_a_model_of_ones_own_has_its_scale_and_one_axis_is_not_two():
    mine = Models(Model.of(Linear(4)))
    assert mine.factors(1) == mine.factors(2) == (4,)
    assert package().factors(1) == package().factors(2) == (4, 2)
    network = Linear(2)
    network.metadata = {"recipe": '{"task": {"kind": "through-plane"}}'}
    one = Models(Model.of(network))
    assert one.factors(1) == (2,)
    with pytest.raises(InputError, match="one axis only"):
        one.factors(2)


def test_weights_are_those_of_all_that_may_take_part():
    mine = Linear(2)
    mine.sha256 = "0" * 64
    assert Models(Model.of(mine)).weights == ["0" * 64]
    shipped = {entry.sha256 for entry in zoo.catalogue() if "joint" not in entry.name}
    assert set(Models(Model.of(mine), only=False).weights) == {"0" * 64} | shipped


def test_what_no_shipped_model_enlarges_so_is_interpolated_unless_one_was_named(monkeypatch):
    kinds = [Kind(name, "") for name in ("MR", "CT", "PET", "labels", "probabilities", "real")]

    def networks(models, axes, factor):
        steps = [[Step(axes, factor, modality=kind.modality)] for kind in kinds]
        return [not models.interpolate(*each) for each in zip(kinds, steps, strict=True)]

    assert networks(package(), (0, 1), 2) == [True, False, True, False, False, False]
    # There are weights for 2x in the plane alone.
    for axes, factor in (((0, 1), 4), ((2,), 2)):
        assert networks(package(), axes, factor) == [True, False, False, False, False, False]
    mine = Models(Model.of(Linear()))
    assert networks(mine, (0, 1), 2) == [True, True, True, False, False, True]
    shipped = [SimpleNamespace(name=name) for name in ("mri-x2", "ct-x2")]
    monkeypatch.setattr(zoo, "catalogue", lambda: shipped)
    assert networks(package(), (0, 1), 2) == [True, True, False, False, False, False]


def test_the_kind_chooses_the_model_unless_one_was_named():
    step = Step((0, 1), 2, modality="PET")
    assert package()(step).name == "pet-x2"
    mine = Models(Model.of(Linear()))
    assert mine(step) is mine.chosen
