"""What a derived series says about the models that made it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

import iconet
from iconet.images import from_array, read
from iconet.study.provenance import provenance_of, untrained_for
from iconet.zoo.model import Model

from .studies import series


@pytest.mark.usefixtures("folder")
def test_weights_that_do_not_say_mri_are_believed(weights):
    network = iconet.load(weights)
    scan = read(series("in", "PT"))
    assert "PET" in untrained_for(scan, Model.of(network))
    network.metadata = {**network.metadata, "purpose": "FDG PET"}
    assert untrained_for(scan, Model.of(network)) is None
    del network.metadata
    assert untrained_for(scan, Model.of(network)) is None


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


@pytest.mark.parametrize("purpose", ["MRI", "T1w MR images"])
@pytest.mark.parametrize(("modality", "said"), [("CT", "CT"), ("PT", "PET"), ("MR", None)])
def test_a_modality_the_weights_are_not_for_is_said(linear, purpose, modality, said):
    header = Dataset()
    header.Modality = modality
    scan = replace(from_array(np.ones((4, 4))), path=Path("a"), dicom=[header])
    line = untrained_for(scan, model(linear, name=None, purpose=purpose))
    if said is None:
        assert line is None
    else:
        assert line.startswith(f"a: {said}, for which the model was not trained ({purpose})")
    assert untrained_for(replace(scan, dicom=[]), model(linear, purpose=purpose)) is None
