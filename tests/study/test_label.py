"""The entity that tells results with other weights or options apart."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from iconet import zoo
from iconet.images.bids import NAME, derivative_name
from iconet.images.reading import stem_of
from iconet.study.label import result_label
from iconet.upscaling.options import Options

SHA256 = {entry.name: entry.sha256 for entry in zoo.catalogue()}


def label(model="mri-x2", *, sha256=None, **options):
    scale = int(model[-1]) if model and model[-1] in "24" else 2
    chosen = SimpleNamespace(name=model, scale=scale, sha256=sha256 or SHA256.get(model))
    return result_label(Options(**options), chosen)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "iconetMriX2"),
        ({"model": "mri-x4"}, "iconetMriX4"),
        ({"isotropic": True}, "iconetIsotropic"),
        ({"spacing": "0.5x0.5x1.0"}, "iconetSpacing0p5x0p5x1p0"),
        ({"axes": "k"}, "iconetX2AxesK"),
        ({"plane": "coronal", "tile": 64}, "iconetMriX2PlaneCoronalTile64"),
        ({"acquired": "192x256", "window": "hamming"}, "iconetMriX2Acquired192x256WindowHamming"),
    ],
)
def test_it_says_the_model_the_scale_and_what_was_asked_for(given, wanted):
    given = dict(given)
    model = given.pop("model", "mri-x2")
    assert label(model, **given) == wanted


def test_a_model_that_was_named_is_another_result_than_the_package_s_choice():
    chosen = SimpleNamespace(name="mri-x2", scale=2, sha256=SHA256["mri-x2"])
    assert result_label(Options(model="mri-x2"), chosen) == "iconetModelMriX2"


def test_weights_of_a_user_are_told_apart_whatever_their_name():
    made = {
        result_label(
            Options(model="a.safetensors"), SimpleNamespace(name=name, scale=2, sha256=sha256)
        )
        for name in ("mine", None, "größe 2/3")
        for sha256 in ("ab" * 32, "cd" * 32)
    }
    assert len(made) == 6
    assert all(re.fullmatch("iconetModel[A-Za-z0-9]*X2[A-Za-z0-9]{6}", text) for text in made)


def test_all_options_that_decide_are_in_it_and_the_name_stays_one_of_bids():
    changes = {
        "plane": "i",
        "axes": "jk",
        "isotropic": True,
        "series": "4",
        "tile": 32,
        "precision": "bf16",
        "backend": "torch",
        "acquired": "off",
        "window": "none",
        "kind": "mr",
    }
    assert changes.keys() <= Options().deciding.keys() == {*changes, "spacing"}
    chosen = SimpleNamespace(name="mri-x2", scale=2, sha256=SHA256["mri-x2"])
    made = set()
    for count in range(3):
        for names in itertools.combinations(changes, count):
            options = replace(Options(), **{name: changes[name] for name in names})
            name = derivative_name("sub-01_T1w.nii.gz", result_label(options, chosen))
            assert NAME.fullmatch(stem_of(Path(name)))
            made.add(name)
    assert len(made) == 1 + 10 + 45
