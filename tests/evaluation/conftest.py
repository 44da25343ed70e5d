"""A small data set and a recipe on it; a training that takes no time."""

import csv
import json
from dataclasses import asdict

import nibabel
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from iconet.evaluation import interpolations as interpolation
from iconet.training.architecture import build

NARROW = {"size": "tiny", "options": {"width": 8, "exchanges": 1, "rec_units": 1, "sr_units": 1}}


def head(seed, shape=(40, 35, 3)):
    """Smooth random tissue in an ellipse; 35 is not a multiple of 8."""
    from scipy.ndimage import gaussian_filter

    texture = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (1, 1, 0.5))
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    inside = (x**2 + y**2 < 0.7)[..., None]
    return (inside * (400 + 800 * texture)).clip(0).astype(np.int16)


@pytest.fixture
def data(tmp_path):
    """Two test subjects, one of them with two volumes, one to train on and one to choose by."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = []
    for seed, (subject, split, name) in enumerate(
        [
            ("s1", "test", "a"),
            ("s1", "test", "b"),
            ("s2", "test", "c"),
            ("s3", "train", "d"),
            ("s4", "validation", "e"),
        ]
    ):
        # Stored sagittally: the axial slices lie across the second voxel axis.
        volume = np.moveaxis(head(seed), 2, 1)
        affine = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 3, 0, 0], [0, 0, 0, 1.0]])
        nibabel.save(nibabel.Nifti1Image(volume, affine), folder / f"{name}.nii")
        lines.append(f"toy,{subject},{split},{name}.nii,T1w,axial")
    header = "dataset,subject,split,path,contrast,sharp_plane"
    (folder / "splits.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


@pytest.fixture
def content(data, tmp_path):
    """What a recipe of two interpolations and two networks says."""
    return {
        "data": {"root": str(data)},
        "datasets": ["toy"],
        "output": str(tmp_path / "out"),
        "precision": "fp32",
        "interpolations": ["linear", "zero-filling"],
        "conditions": [{"name": "sr-x2", "scale": 2}],
        "networks": [
            {"name": "iconet", "network": NARROW, "seeds": [1, 2]},
            {"name": "peer", "network": NARROW, "training": {"loss": {"early": 0.1}}},
        ],
        "steps": 3,
        "training": {"optimisation": {"batch": 4, "patch": 32, "warm_up": 2}},
    }


@pytest.fixture
def write(tmp_path):
    """Writes a recipe and returns its path."""

    def write(content):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def trained(monkeypatch):
    """Recipes that were trained, by a training that only writes what the seed initialises."""
    recipes = []

    def fit(recipe, volumes, validation_volumes, *, output, device):
        assert volumes and validation_volumes
        recipes.append(recipe)
        torch.manual_seed(recipe.seed)
        network = build(recipe.network, recipe.scale, recipe.task.channels)
        # The middle rate is the best, and seeds differ.
        score = -abs(recipe.optimisation.learning_rate - 0.002)
        metadata = {
            "format": "iconet",
            "architecture": "iconet",
            "config": json.dumps(asdict(network.config)),
            "validation": json.dumps({"mean": score}),
        }
        output.mkdir(parents=True, exist_ok=True)
        path = output / f"{recipe.name}.safetensors"
        save_file(network.state_dict(), path, metadata)
        return path

    monkeypatch.setattr("iconet.training.fit", fit)
    return recipes


@pytest.fixture
def calls(monkeypatch):
    """Counts how often each interpolation runs."""
    seen = []

    def counted(name, enlarge):
        def run(stack, factor):
            seen.append((name, factor))
            return enlarge(stack, factor)

        return run

    for name, enlarge in interpolation.METHODS.items():
        monkeypatch.setitem(interpolation.METHODS, name, counted(name, enlarge))
    return seen


@pytest.fixture
def no_figures(request, monkeypatch):
    """Drawing takes longer than all else; one test draws."""
    if "figures" not in request.node.name:
        monkeypatch.setattr("iconet.evaluation.page._figures", lambda queue, found: [])


@pytest.fixture
def plain(content, write):
    """A recipe of interpolations alone."""
    del content["networks"], content["steps"], content["training"]
    return write(content)


def rows_of(recipe, name="results"):
    with (recipe.parent / "out" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def described(recipes):
    return [(r.name, r.seed) for r in recipes]


def blobs(shape=(24, 64, 80), seed=0):
    """Smooth structure on a dark background."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=shape)
    stack = gaussian_filter(noise, (2, 4, 4)).clip(0)
    return (1000 * stack / stack.max()).astype(np.float32)
