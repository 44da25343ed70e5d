import hashlib
import json
import os
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest

import iconet
from iconet import zoo
from iconet.study import run_one
from iconet.study.study import upscale_study
from iconet.upscaling.options import Options
from iconet.zoo.model import Model

from .studies import scan, upscale

DOCUMENT = Path(__file__).parents[2] / "docs" / "report.md"


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
    several = isinstance(value, list) and value and isinstance(value[0], dict)
    return [keys(value[0])] if several else None


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


@pytest.mark.usefixtures("folder")
def test_a_report_names_every_network_that_took_part():
    scan("a.nii")
    call = ["a.nii", "-o", "b.nii", "--report", "--spacing", "0.5x0.5x1"]
    assert upscale(*call, model=None) == 0
    report = json.loads(Path("b.nii.report.json").read_text())
    hashes = {entry.name: entry.sha256 for entry in zoo.catalogue()}
    names = [model["name"] for model in report["models"]]
    assert len(names) == 2 and names[-1] == "mri-x2"  # across thick slices first
    assert [model["sha256"] for model in report["models"]] == [hashes[name] for name in names]
    assert report["output"]["shape"] == [40, 48, 9]
    assert report["options"]["spacing"] == "0.5x0.5x1"
    assert report["consistency"]["nmse"] < 0.2


@pytest.mark.usefixtures("folder")
def test_a_report_says_why_there_is_no_consistency():
    scan("a.nii")
    assert upscale("a.nii", "-o", "b.nii", "--report", "--spacing", "0.7x0.7x3") == 0
    report = json.loads(Path("b.nii.report.json").read_text())
    assert report["consistency"] is None
    assert "another field of view" in report["consistency_missing"]


@pytest.mark.usefixtures("folder")
def test_the_best_is_another_result_and_is_said(capsys):
    scan("a.nii")
    assert upscale("a.nii", "-o", "plain.nii") == 0
    assert upscale("a.nii", "-o", "b.nii", "--best", "--report") == 0
    assert json.loads(Path("b.nii.report.json").read_text())["options"]["best"] is True
    plain, best = (np.asarray(nibabel.load(name).dataobj) for name in ("plain.nii", "b.nii"))
    assert (plain != best).any()
    nibabel.Nifti1Image(np.eye(20, dtype=np.uint8)[..., None], np.eye(4)).to_filename("a_seg.nii")
    assert upscale("a_seg.nii", "-o", "c.nii", "--best") == 0
    assert "--best changes nothing" in capsys.readouterr().err
