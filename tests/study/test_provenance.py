"""What a derived series says about the models that made it."""

from dataclasses import replace

import iconet
from iconet.study.provenance import provenance_of
from iconet.zoo.model import Model


def model(network, **changes):
    return replace(Model.of(network), **changes)


def test_every_model_that_took_part_is_named_with_its_weights(linear):
    first = model(linear, name="mri-slice-x2", sha256="ab" * 32, purpose="MRI, slices")
    second = model(linear, name="mri-x2", sha256="cd" * 32, purpose="MRI, planes")
    said = provenance_of([first, second], 4)
    assert (said.software, said.version) == ("iconet", iconet.__version__)
    assert (said.model, said.weights_sha256, said.scale) == (
        "mri-slice-x2 + mri-x2",
        "ab" * 32,
        4,
    )
    assert said.text == (
        "The weights are for MRI, slices. The weights are for MRI, planes."
        f" Weights of mri-x2: SHA-256 {'cd' * 32}."
    )


def test_one_purpose_is_said_once_and_what_is_not_known_is_said_to_be_so(linear):
    nameless = model(linear, name=None, sha256=None, purpose=None)
    said = provenance_of([nameless], 2)
    assert (said.model, said.weights_sha256, said.text) == ("without a name", "unknown", "")
    named = model(linear, name="mine", sha256="ef", purpose="MRI")
    said = provenance_of([named, nameless, model(linear, purpose="MRI")], 2)
    assert said.text.count("The weights are for MRI.") == 1


def test_without_models_nothing_is_said_of_weights():
    said = provenance_of([], 2)
    assert (said.model, said.weights_sha256, said.text) == (None, None, "")
