"""The tool that trains and calibrates what says how far results may be trusted, as a whole."""

import json
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

import iconet
from iconet import zoo
from iconet.zoo.model import Model

from ..load_tool import load_tool
from ..training.small import make_recipe, run


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("publish_trust")


def head(number: int) -> nibabel.Nifti1Image:
    """An ellipse with texture and a little noise, each of its own."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (72, 64, 10)), indexing="ij")
    phase = 0.7 * number
    tissue = 500 + 200 * np.sin(9 * x + phase + 3 * z) + 150 * np.cos(11 * y - phase)
    noise = np.random.default_rng(number).normal(0, 8, x.shape)
    image = np.abs((x**2 / 0.7 + y**2 / 0.8 < 1) * tissue + noise)
    return nibabel.Nifti1Image(image.astype(np.int16), np.diag([1.0, 1, 3, 1]))


@pytest.fixture(scope="module")
def published(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights, and the scans that they learned from."""
    folder = tmp_path_factory.mktemp("trust")
    scans = folder / "scans"
    scans.mkdir()
    for number in range(10):
        nibabel.save(head(number), scans / f"sub-{number:02d}_T1w.nii.gz")
    data = {"layout": "folder", "root": str(scans)}
    recipe = make_recipe().model_copy(deep=True)
    recipe = recipe.model_validate({**recipe.model_dump(), "data": data})
    from iconet.data.split_volumes import volumes_for

    volumes, _ = volumes_for(recipe.data, "train", folder)
    weights = run(recipe, volumes, folder / "run")
    written = tool.publish(str(weights), scans, steps=6)
    assert written == weights.with_name(f"{weights.stem}.trust.safetensors")
    return weights, scans


def test_the_bounds_are_used_and_cover_a_scan_like_those_they_learned_from(
    published: tuple[Path, Path], tmp_path: Path
) -> None:
    weights, _ = published
    truth = np.asarray(head(50).dataobj, np.float32)
    nibabel.save(head(50), tmp_path / "truth.nii")
    low = iconet.degrade(tmp_path / "truth.nii", scale=2)
    made = iconet.upscale(low, model=weights, uncertainty=True, acquired="off", window="none")
    lower, image, upper = (
        np.asarray(one.dataobj, np.float32) for one in (made.lower, made.image, made.upper)
    )
    assert (lower <= image).all() and (image <= upper).all()
    inside = truth > 200
    covered = ((lower <= truth) & (truth <= upper))[inside].mean()
    assert 0.6 < covered < 1


def test_what_was_measured_is_kept_with_the_weights(published: tuple[Path, Path]) -> None:
    model = Model.of(zoo.load(published[0]))
    assert model.trust is not None
    measured = model.trust.calibration
    assert "kspace-crop" in measured and "noisy" in measured
    for one in measured.values():
        assert one["subjects"] >= 1 and 0.3 < one["coverage"] <= 1
    low, high = model.trust.ranges["spacing"]
    assert low <= 2 <= high


def test_a_kept_head_is_calibrated_anew_to_the_same(
    tool: ModuleType, published: tuple[Path, Path]
) -> None:
    weights, scans = published
    before = zoo.load(weights).trust
    tool.publish(str(weights), scans, keep=True)
    after = zoo.load(weights).trust
    assert before is not None and after is not None
    assert json.dumps(before.calibration) == json.dumps(after.calibration)
