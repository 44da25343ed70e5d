"""Every kind of scan in a study (DICOM series, raw k-space, images), their records and reports."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import nibabel
import pydicom
import pytest

from iconet import zoo

from .studies import files_below, raw, scan, series, times, upscale

pytestmark = pytest.mark.usefixtures("folder")


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
    found = report["input"]["kspace"]
    assert (found["coils"], found["acceleration"]) == (3, 24 / 11)
    assert found["partial_fourier"] is None
    assert set(found["consistency"]) == {"residual_over_noise", "relative_residual", "noise"}
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
    assert "raw k-space is upscaled in whole slices" in capsys.readouterr().err
