"""Every model that the package ships is whole, small, described, and runs."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch

from iconet import zoo
from iconet.data.sampling import real_and_imaginary
from iconet.data.truth import truth_stack
from iconet.images import read
from iconet.network import Samples
from iconet.physics.acquisition import Acquisition
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import zero_fill
from iconet.zoo.trust import trust_file

SHIPPED = zoo.catalogue()
DEMO_SCAN = Path(zoo.__file__).parents[1] / "demo_scan" / "sub-01_T1w_slab.nii.gz"
every_model = pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)


def test_the_package_ships_its_models() -> None:
    names = [entry.name for entry in SHIPPED]
    assert {"mri-x2", "mri-x4", "mri-x2-joint", "mri-x4-joint"} <= set(names)
    assert names == sorted(set(names))


@every_model
def test_the_file_is_the_recorded_one_and_small(entry: zoo.Entry) -> None:
    content = entry.path.read_bytes()
    assert len(content) < 12e6
    assert hashlib.sha256(content).hexdigest() == entry.sha256


@every_model
def test_what_is_said_of_its_results_is_of_these_weights(entry: zoo.Entry) -> None:
    path = trust_file(entry.path)
    assert path.exists() == (entry.trust is not None)
    if entry.trust is not None:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.trust
        trust = zoo.load(entry.name).trust
        assert trust is not None and trust.calibration


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
    model = zoo.load(entry.name)
    constant = torch.zeros(1, model.channels, 32, 40)
    constant[:, 0] = 300.0
    samples = None
    if model.channels == 2:  # of raw k-space, here all of it
        everything = torch.ones(1, 1, 1, 40, dtype=torch.bool)
        samples = Samples(fft2c(constant[:, :1] + 0j), everything)
    with torch.inference_mode():
        image = model(constant, samples=samples).image
    assert image.shape == (1, model.channels, 32 * entry.scale, 40 * entry.scale)
    inside = torch.linalg.vector_norm(image[..., 16:-16, 16:-16], dim=1)
    torch.testing.assert_close(inside, torch.full_like(inside, 300.0), rtol=0.05, atol=0)


@pytest.mark.parametrize("entry", [e for e in SHIPPED if "joint" in e.name], ids=lambda e: e.name)
def test_undersampled_k_space_becomes_a_better_image_than_zero_filling_gives(
    entry: zoo.Entry,
) -> None:
    truth = torch.from_numpy(truth_stack(read(DEMO_SCAN), "axial"))
    truth = truth[len(truth) // 2][None, None]
    acquisition = Acquisition((4, 4), 0.08, "random", 0.01, 0.01)
    generator = torch.Generator().manual_seed(0)
    seen = acquisition(truth, entry.scale, generator, truth.quantile(0.99).view(1, 1, 1, 1))
    model = zoo.load(entry.name)
    with torch.inference_mode():
        parts = real_and_imaginary(seen.image)
        image = model(parts, samples=Samples(seen.kspace, seen.mask)).image
    inside = truth > truth.mean()

    def error(magnitude: torch.Tensor) -> float:
        return float((magnitude - truth)[inside].square().mean().sqrt())

    ours = error(torch.linalg.vector_norm(image, dim=1, keepdim=True))
    assert ours < 0.85 * error(zero_fill(seen.image, entry.scale).abs())
