import hashlib
import json
import os
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import iconet
from iconet import zoo
from iconet.images import from_array, from_nibabel
from iconet.physics.kspace import zero_fill
from iconet.study import run_one
from iconet.study.study import upscale_study
from iconet.upscaling.input_consistency import input_consistency
from iconet.upscaling.options import Options
from iconet.zoo.model import Model

DOCUMENT = Path(__file__).parents[2] / "docs" / "report.md"


def placed(array, spacing, origin=(0.0, 0, 0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return from_nibabel(nibabel.Nifti1Image(np.asarray(array, np.float32), affine))


def pair():
    """A scan and its centred zero-filling, which holds all that was measured and no more.

    Odd sizes have no Nyquist line, of which a crop can only keep the mean of both ends.
    """
    low = np.random.default_rng(0).gamma(2, 50, (21, 25, 3)).astype(np.float32)
    high = zero_fill(torch.from_numpy(low).movedim(-1, 0), 2).movedim(0, -1).numpy()
    return placed(low, (1, 1, 3)), placed(high, (0.5, 0.5, 3), (-0.25, -0.25, 0))


def test_zero_filling_is_consistent_and_a_scaled_one_is_off_by_its_scale():
    scan, bigger = pair()
    exact = input_consistency(scan, bigger)
    assert exact.nmse < 1e-6 and exact.psnr > 60
    assert exact.mean_ratio == pytest.approx(1, abs=1e-5)
    scaled = placed(bigger.array * 1.1, (0.5, 0.5, 3), (-0.25, -0.25, 0))
    wrong = input_consistency(scan, scaled)
    assert wrong.mean_ratio == pytest.approx(1.1, abs=1e-5)
    assert wrong.nmse == pytest.approx(0.01, rel=1e-3)
    mean_square = float(np.square(scan.array.astype(float)).mean())
    expected = 10 * np.log10(scan.array.max() ** 2 / (0.01 * mean_square))
    assert wrong.psnr == pytest.approx(expected, abs=0.01)


def test_another_field_of_view_is_not_compared():
    scan, bigger = pair()
    assert input_consistency(scan, placed(bigger.array, (0.5, 0.5, 3))) is None
    assert input_consistency(bigger, scan) is None


def test_every_axis_may_have_grown_and_arrays_need_no_place():
    constant = np.full((6, 7, 8), 3.0, np.float32)
    same = input_consistency(
        from_array(constant), from_array(np.full((12, 14, 16), 3.0, np.float32))
    )
    assert same.mean_ratio == pytest.approx(1) and same.nmse < 1e-12
    nothing = np.zeros((6, 6), np.float32)
    zeros = input_consistency(from_array(nothing), from_array(np.zeros((12, 12), np.float32)))
    assert (zeros.psnr, zeros.nmse, zeros.mean_ratio) == (None, None, None)


def test_a_report_says_of_each_model_how_its_training_images_were_made(linear):
    plain, slices = (zoo.load(name) for name in ("mri-x2", "mri-slice-x2"))
    assert Model.of(plain).degradation["kspace"] > 0.5
    assert set(Model.of(slices).degradation) >= {"gaussian", "rect", "kspace", "gap_max"}
    for metadata in ({}, {"recipe": "[]"}, {"recipe": "{"}, {"recipe": '{"task": 1}'}):
        linear.metadata = metadata
        assert Model.of(linear).degradation is None


def keys(value):
    """The structure of a report: keys, without what may be null and the numbers themselves."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(value[0])] if isinstance(value, list) and isinstance(value[0], dict) else None


def test_a_report_is_what_the_document_says_and_names_no_person(tmp_path, linear, monkeypatch):
    entry = next(entry for entry in zoo.catalogue() if entry.name == "mri-x2")
    trained = zoo.load("mri-x2")
    linear.metadata, linear.sha256 = trained.metadata, trained.sha256
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: Model.of(linear))
    secret = tmp_path / "Doe^Jane"
    secret.mkdir()
    image = nibabel.Nifti1Image(
        np.random.default_rng(0).gamma(2, 50, (20, 24, 5)).astype(np.int16),
        np.diag([-1.0, 1, 3, 1]),
    )
    image.header["descrip"] = b"Doe^Jane 1970"
    image.to_filename(secret / "scan.nii")
    source, target = secret / "scan.nii", secret / "big.nii.gz"
    failed = upscale_study([source], target, Options(), reports=True, say=print, complain=print)
    assert failed == 0
    assert sorted(os.listdir(secret)) == ["big.nii.gz", "big.nii.gz.report.json", "scan.nii"]
    text = (secret / "big.nii.gz.report.json").read_text()
    assert "Doe" not in text and str(tmp_path) not in text
    report = json.loads(text)

    documented = json.loads(re.search(r"```json\n(.*?)```", DOCUMENT.read_text(), re.S).group(1))
    assert keys(report) == keys(documented)
    assert report["schema_version"] == documented["schema_version"]
    assert report["notice"] == documented["notice"]
    for side in ("input", "output"):
        for part in ("shape", "spacing", "affine", "orientation"):
            assert report[side][part] == documented[side][part]
    assert report["software"]["iconet"] == iconet.__version__
    (model,), (as_documented,) = report["models"], documented["models"]
    assert model["sha256"] == entry.sha256
    assert model["assumed_degradation"] == as_documented["assumed_degradation"]
    assert report["options"] == documented["options"]
    for side, name in [("input", "scan.nii"), ("output", "big.nii.gz")]:
        digest = hashlib.sha256((secret / name).read_bytes()).hexdigest()
        assert report[side]["files"] == [{"name": name, "sha256": digest}]
    assert 0 < report["consistency"]["nmse"] < 1
    assert report["seconds"]["upscale"] >= 0
