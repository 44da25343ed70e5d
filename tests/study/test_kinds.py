"""Every kind of scan in a study (DICOM series, raw k-space, images), their records and reports."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from iconet import cli, zoo
from iconet.errors import InputError
from iconet.study.find import Task, find_tasks

from ..upscaling.test_from_kspace import HEADER
from .test_dicom import series
from .test_study import files_below, network, scan, times


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network("model.safetensors", seed=0)


def upscale(*arguments, model="model.safetensors", backend="torch"):
    """The exit code; in the runtime that need not convert the network first."""
    chosen = [] if model is None else ["--model", model]
    return cli.run(["upscale", *arguments, *chosen, "--precision", "fp32", "--backend", backend])


def raw(path):
    """Raw k-space of two slices of 32 x 24: 3 coils, the central and the outermost lines."""
    values = np.random.default_rng(0).normal(size=(2, 3, 32, 24, 2)).astype(np.float32)
    lines = np.isin(np.arange(24), [0, 23]) | (abs(np.arange(24) - 12) < 5)
    sizes = {"H": 32, "W": 24, "h": 32, "w": 24, "fx": 64, "fy": 36, "gx": 64, "gy": 36}
    Path(path).parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = values.view(np.complex64)[..., 0] * lines
        file["ismrmrd_header"] = HEADER.format(**sizes)


def test_a_derived_series_is_an_output_like_another_one(capsys):
    series("a", "MR")
    series("b", "MR", "1.2.7", 7)
    both = ["a", "b", "-o", "out"]
    assert upscale(*both) == 0
    made = times("out")
    slices = [f"{name}/0000{k}.dcm" for name in "ab" for k in (1, 2, 3)]
    assert sorted(made) == [".iconet.jsonl", *slices]
    assert upscale(*both) == 0
    assert "2 scans: 2 finished before" in capsys.readouterr().err
    assert times("out") == made

    shutil.rmtree("b")
    series("b", "MR", "1.2.7", 7, shape=(20, 24, 2))
    assert upscale(*both) == 0
    again = times("out")
    assert sorted(again) == sorted(made.keys() - {"b/00003.dcm"})
    assert again["a/00001.dcm"] == made["a/00001.dcm"]
    assert again["b/00001.dcm"] > made["b/00001.dcm"]

    edited = Path("out/a/00002.dcm")
    image = pydicom.dcmread(edited)
    image.PatientComments = "seen"
    image.save_as(edited)
    kept = edited.read_bytes()
    assert upscale(*both) == 2
    assert "out/a: is there already and not as iconet wrote it" in capsys.readouterr().err
    assert edited.read_bytes() == kept
    assert upscale(*both, "--overwrite") == 0
    assert edited.read_bytes() != kept
    assert not list(Path("out").glob(".*partial*"))


def test_what_a_killed_process_left_of_a_series_is_removed():
    series("a", "MR")
    scan("b.nii")
    begun = {"output": "a", "pid": 2**22 + 1}  # no system has so many
    Path("out/.a.deadbeef.partial").mkdir(parents=True)
    Path("out/.a.deadbeef.partial/00001.dcm").write_text("cut off")
    Path("out/.iconet.jsonl").write_text("\n" + json.dumps(begun))
    assert upscale("a", "b.nii", "-o", "out") == 0
    assert sorted(os.listdir("out")) == [".iconet.jsonl", "a", "b.nii"]


def test_a_folder_by_name_is_replaced_only_if_it_holds_a_derived_series_alone(capsys):
    series("in", "MR")
    assert upscale("in", "-o", "out", "--report") == 0
    report = json.loads(Path("out.report.json").read_text())
    assert [file["name"] for file in report["output"]["files"]] == files_below("out")
    assert len(report["input"]["files"]) == 3 and report["options"]["series"] is None
    before = times("out")
    assert upscale("in", "-o", "out") == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert times("out") == before
    assert upscale("in", "-o", "out", "--overwrite") == 0
    assert all(when > before[name] for name, when in times("out").items())
    Path("out/notes.txt").write_text("mine")
    before = times("out")
    assert upscale("in", "-o", "out", "--overwrite") == 2
    assert "holds other things" in capsys.readouterr().err
    assert times("out") == before
    series("theirs", "MR")
    for number, path in enumerate(sorted(Path("theirs").iterdir()), start=1):
        path.rename(f"theirs/{number:05d}.dcm")
    before = times("theirs")
    assert upscale("in", "-o", "theirs", "--overwrite") == 2
    assert times("theirs") == before


def test_a_folder_of_dicom_is_one_scan_and_not_mixed_with_others(capsys):
    series("in/deep", "MR")
    Path("in/.hidden").mkdir()
    scan("in/.hidden/a.nii")
    Image.new("L", (8, 8)).save("in/preview.png")
    Path("in/report.docx").write_bytes(b"PK\3\4")
    assert find_tasks([Path("in")], Path("out")) == [Task(Path("in"), Path("out"))]
    scan("in/b.nii")
    with pytest.raises(InputError, match=r"in: holds DICOM and other scans \(b.nii\)"):
        find_tasks([Path("in")], Path("out"))


def test_raw_kspace_and_images_make_one_study(capsys):
    raw("in/a.h5")
    scan("in/sub/b.nii")
    call = ["in", "-o", "out", "--report"]
    assert upscale(*call, model=None, backend="auto") == 0
    made = times("out")
    assert sorted(made) == [
        ".iconet.jsonl",
        *("a.nii.gz", "a.nii.gz.report.json", "sub/b.nii", "sub/b.nii.report.json"),
    ]
    assert nibabel.load("out/a.nii.gz").shape == (64, 48, 2)
    report = json.loads(Path("out/a.nii.gz.report.json").read_text())
    joint = next(entry for entry in zoo.catalogue() if entry.name == "mri-x2-joint")
    (model,) = report["models"]
    assert (model["name"], model["sha256"]) == (joint.name, joint.sha256)
    digest = hashlib.sha256(Path("in/a.h5").read_bytes()).hexdigest()
    assert report["input"]["files"] == [{"name": "a.h5", "sha256": digest}]
    assert (report["input"]["shape"], report["input"]["spacing"]) == ([32, 24, 2], [2, 1.5, 5])
    assert report["input"]["kspace"] == {"coils": 3, "acceleration": 24 / 11}
    assert report["compute"]["backend"] == "torch"  # whatever images would be given to
    assert report["output"]["spacing"] == [1, 0.75, 5]
    assert report["consistency"] is None and "k-space" in report["consistency_missing"]
    assert set(report["seconds"]) == {"read", "upscale", "write"}
    image = json.loads(Path("out/sub/b.nii.report.json").read_text())
    assert [model["name"] for model in image["models"]] == ["mri-x2"]
    assert image["consistency"]["nmse"] > 0 and image["consistency_missing"] is None

    assert upscale(*call, model=None, backend="auto") == 0
    assert times("out") == made
    os.unlink("out/a.nii.gz")
    assert upscale(*call, model=None, backend="auto") == 0
    assert times("out")["sub/b.nii"] == made["sub/b.nii"]
    # What only images take is not left out in silence for the others.
    assert upscale(*call, "--plane", "axial", model=None, backend="auto") == 2
    assert "raw k-space is taken in whole slices" in capsys.readouterr().err


def test_two_inputs_of_one_output_are_refused():
    raw("in/a.h5")
    scan("in/a.nii.gz")
    with pytest.raises(InputError, match=r"two inputs would be written to out/a.nii.gz"):
        find_tasks([Path("in")], Path("out"))


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


def test_a_report_says_why_there_is_no_consistency():
    scan("a.nii")
    assert upscale("a.nii", "-o", "b.nii", "--report", "--spacing", "0.7x0.7x3") == 0
    report = json.loads(Path("b.nii.report.json").read_text())
    assert report["consistency"] is None
    assert "another field of view" in report["consistency_missing"]
