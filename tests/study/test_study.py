"""Whole studies, by the command line: what is picked, skipped, refused and left behind."""

import json
import os
from hashlib import sha256
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from iconet import cli
from iconet.images import read, write
from iconet.study import run_one
from iconet.study.find import find_tasks

from .studies import files_below, network, scan, times, upscale

pytestmark = pytest.mark.usefixtures("folder")


def dataset(root="ds"):
    for name in [
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_acq-fast_run-2_FLAIR.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T2w.nii",
        # None of these is a magnitude image with a structural contrast:
        "sub-01/anat/sub-01_T1map.nii.gz",
        "sub-01/anat/sub-01_part-phase_T2starw.nii.gz",
        "sub-01/anat/._sub-01_T1w.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "derivatives/other/sub-01/anat/sub-01_desc-brain_T1w.nii.gz",
    ]:
        scan(f"{root}/{name}", seed=len(name))
    description = {"Name": "A study", "BIDSVersion": "1.9.0"}
    Path(root, "dataset_description.json").write_text(json.dumps(description))


DERIVED = [
    "01/anat/sub-01_acq-fast_run-2_desc-{}_FLAIR",
    "01/anat/sub-01_desc-{}_T1w",
    "02/ses-a/anat/sub-02_ses-a_desc-{}_T2w",
]


def test_a_bids_dataset_becomes_a_derivative_and_is_not_done_again(capsys):
    dataset()
    weights = sha256(Path("model.safetensors").read_bytes()).hexdigest()[:6].capitalize()
    label = f"iconetModelMineX2{weights}PrecisionFp32BackendTorch"
    derived = [f"sub-{name.format(label)}" for name in DERIVED]
    before = times("ds")
    assert upscale("ds") == 0
    out = Path("ds/derivatives/iconet")
    images = [name + (".nii" if "T2w" in name else ".nii.gz") for name in derived]
    assert files_below(out) == sorted(
        [".iconet.jsonl", "dataset_description.json", *images, *(f"{n}.json" for n in derived)]
    )
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "iconet"
    assert (out / description["DatasetLinks"]["raw"]).resolve() == Path("ds").resolve()
    sidecar = json.loads((out / f"{derived[1]}.json").read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    assert "0.5 x 0.5 x 3 mm" in sidecar["Resolution"]
    assert sidecar["IconetReport"]["output"]["spacing"] == [0.5, 0.5, 3.0]
    assert nibabel.load(out / images[1]).shape == (40, 48, 3)
    assert "3 scans: 3 upscaled" in capsys.readouterr().err

    made = times(out)
    assert upscale("ds") == 0
    assert "3 scans: 3 finished before" in capsys.readouterr().err
    assert times(out) == made
    assert {name: when for name, when in times("ds").items() if name in before} == before


def test_a_dataset_of_others_is_not_written_into(capsys):
    dataset()
    Path("out").mkdir()
    theirs = json.dumps({"Name": "x", "BIDSVersion": "1.9.0", "GeneratedBy": [{"Name": "other"}]})
    Path("out/dataset_description.json").write_text(theirs)
    assert upscale("ds", "-o", "out") == 2
    assert "iconet did not make" in capsys.readouterr().err
    assert files_below("out") == ["dataset_description.json"]


def test_folders_keep_their_structure_and_results_inside_are_no_inputs(capsys):
    scan("in/a/x.nii.gz")
    scan("in/b/x.nii.gz")
    scan("in/.hidden/x.nii.gz")
    Path("in/notes.txt").write_text("hello")
    wanted = [".iconet.jsonl", "a/x.nii.gz", "b/x.nii.gz"]
    for _ in range(2):
        assert upscale("in", "-o", "in/out") == 0
        assert files_below("in/out") == wanted
    several = find_tasks([Path("in/a"), Path("in/b")], Path("o"))
    assert [task.target.as_posix() for task in several] == ["o/a/x.nii.gz", "o/b/x.nii.gz"]
    assert upscale("in", "-o", "in") == 2
    assert "choose another" in capsys.readouterr().err


def test_only_what_changed_is_done_again(capsys):
    for name in "ab":
        scan(f"in/{name}.nii")
    assert upscale("in", "-o", "out") == 0
    first = times("out")
    os.utime("in/a.nii")  # the same content at another time
    assert upscale("in", "-o", "out") == 0
    assert times("out") == first
    scan("in/a.nii", seed=1)
    assert upscale("in", "-o", "out") == 0
    second = times("out")
    assert second["a.nii"] > first["a.nii"] and second["b.nii"] == first["b.nii"]
    network("model.safetensors", seed=1)
    assert upscale("in", "-o", "out") == 2  # other weights: nothing is replaced
    assert "made with other weights; choose another --output" in capsys.readouterr().err
    assert {**times("out"), **second} == times("out")
    assert upscale("in", "-o", "out", "--overwrite") == 0
    third = times("out")
    assert all(third[name] > second[name] for name in ("a.nii", "b.nii"))
    # A report asked for later belongs to the output, so both are made.
    assert upscale("in", "-o", "out", "--report") == 0
    assert "a.nii.report.json" in files_below("out")
    fourth = times("out")
    assert upscale("in", "-o", "out", "--report") == 0
    assert times("out") == fourth
    assert upscale("in", "-o", "out", "--report", "--spacing", "0.6x0.5x3") == 2
    assert "made with no --spacing; choose another" in capsys.readouterr().err
    assert times("out")["a.nii"] == fourth["a.nii"]


@pytest.mark.parametrize("folder_of_results", [True, False])
def test_what_iconet_did_not_make_stays(capsys, folder_of_results):
    scan("in/a.nii")
    scan("in/b.nii")
    Path("out").mkdir()
    Path("out/a.nii").write_text("precious")
    arguments = ["in", "-o", "out"] if folder_of_results else ["in/a.nii", "-o", "out/a.nii"]
    assert upscale(*arguments) == 2
    assert Path("out/a.nii").read_text() == "precious"
    assert Path("out/b.nii").exists() == folder_of_results
    assert "--overwrite" in capsys.readouterr().err
    assert upscale(*arguments, "--overwrite") == 0
    assert nibabel.load("out/a.nii").shape == (40, 48, 3)
    if folder_of_results:  # an output of ours that was edited is not ours any more
        Path("out/b.nii").write_text("edited")
        assert upscale(*arguments) == 2
        assert Path("out/b.nii").read_text() == "edited"


def test_an_output_whose_record_was_cut_off_is_made_again():
    scan("in/a.nii")
    assert upscale("in", "-o", "out") == 0
    record = Path("out/.iconet.jsonl")
    begun, done = record.read_text().splitlines()[1:]
    record.write_text("\n" + begun + "\n" + done[:20])  # killed, or the disk was full
    old = times("out")
    Path("out/.a.nii.deadbeef.partial.nii").write_text("left by that process")
    entry = json.loads(begun) | {"pid": 2**22 + 1}  # no system has so many
    record.write_text("\n" + json.dumps(entry) + "\n" + done[:20])
    assert upscale("in", "-o", "out") == 0
    assert times("out")["a.nii"] > old["a.nii"]
    assert files_below("out") == [".iconet.jsonl", "a.nii"]
    made = times("out")
    assert upscale("in", "-o", "out") == 0
    assert times("out") == made


def test_a_full_disk_ends_the_study(monkeypatch, capsys):
    for name in "abc":
        scan(f"in/{name}.nii")
    real = os.fsync

    def full(descriptor):
        if Path("out/a.nii").exists():
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert upscale("in", "-o", "out") == 2
    err = capsys.readouterr().err
    assert "disk is full" in err and "1 upscaled, 1 failed, 1 not begun" in err
    assert files_below("out") == [".iconet.jsonl", "a.nii"]


def test_a_fault_of_ours_does_not_stop_the_others_and_is_shown(monkeypatch, capsys):
    for name in "ab":
        scan(f"in/{name}.nii")
    real = run_one.upscale_scan

    def faulty(scan, *arguments, **options):
        if scan.path.name == "a.nii":
            raise ZeroDivisionError
        return real(scan, *arguments, **options)

    monkeypatch.setattr(run_one, "upscale_scan", faulty)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        upscale("in", "-o", "out")
    assert "b.nii" in files_below("out")


def test_jobs_share_the_work_and_a_bad_scan_is_named(capfd):
    for name in "abc":
        scan(f"in/{name}.nii")
    Path("in/bad.nii").write_text("hello")
    assert upscale("in", "-o", "out", "--jobs", "2", backend="auto") == 2
    err = capfd.readouterr().err
    assert "4 scans: 3 upscaled, 1 failed" in err and "failed: in/bad.nii" in err
    assert "Traceback" not in err
    assert files_below("out") == [".iconet.jsonl", "a.nii", "b.nii", "c.nii"]
    assert upscale("in/a.nii", "-o", "alone.nii", backend="auto") == 0
    np.testing.assert_allclose(
        nibabel.load("out/a.nii").get_fdata(), nibabel.load("alone.nii").get_fdata(), atol=1
    )


def shipped(*arguments):
    """The exit code, with the package's own models."""
    return cli.run(["upscale", *arguments, "--backend", "torch"])


def test_two_options_live_side_by_side_in_one_dataset():
    scan("ds/sub-01/anat/sub-01_T1w.nii.gz")
    Path("ds/dataset_description.json").write_text(json.dumps({"BIDSVersion": "1.9.0"}))
    out = Path("ds/derivatives/iconet/sub-01/anat")
    made = {}
    for options, label, shape in [
        ([], "MriX2", (40, 48, 3)),
        (["--scale", "4"], "MriX4", (80, 96, 3)),
        (["--isotropic"], "Isotropic", (20, 24, 9)),
        (["--model", "mri-x2"], "ModelMriX2", (40, 48, 3)),
        (["--axes", "j"], "X2AxesJ", (20, 48, 3)),
    ]:
        for _ in range(2):
            assert shipped("ds", *options) == 0
        name = f"sub-01_desc-iconet{label}BackendTorch_T1w"
        assert nibabel.load(out / f"{name}.nii.gz").shape == shape
        assert (out / f"{name}.json").exists()
        made[name] = shape
        assert len(files_below(out)) == 2 * len(made)


def test_a_run_stopped_half_way_leaves_no_two_kinds_of_result_under_one_name(monkeypatch):
    dataset()
    assert upscale("ds") == 0
    before = times("ds/derivatives/iconet")
    real = run_one.upscale_scan

    def stopped(scan, *arguments, **options):
        if "sub-02" in str(scan.path):
            raise KeyboardInterrupt
        return real(scan, *arguments, **options)

    monkeypatch.setattr(run_one, "upscale_scan", stopped)
    assert upscale("ds", "--plane", "k") == 130
    after = times("ds/derivatives/iconet")
    del before[".iconet.jsonl"]
    assert before.items() <= after.items()
    assert sum("PlaneK" in name and name.endswith((".nii", ".nii.gz")) for name in after) == 2


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".png"])
def test_iconet_refuses_its_own_result(capsys, suffix):
    name = f"a{suffix}"
    if suffix == ".png":
        Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(name)
    else:
        scan("in.nii")
        given = read("in.nii")
        write(given, name, like=given)
    assert upscale(name, "-o", f"b{suffix}") == 0
    before = files_below(".")
    capsys.readouterr()
    assert upscale(f"b{suffix}", "-o", f"c{suffix}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"iconet: error: b{suffix}: is a result of iconet already")
    assert files_below(".") == before
    assert upscale(f"b{suffix}", "-o", f"c{suffix}", "--again") == 0
    assert read(f"c{suffix}").array.shape[0] == 4 * read(name).array.shape[0]


def test_results_in_a_folder_are_left_out_and_counted(capsys):
    scan("in/a.nii")
    scan("in/b.nii")
    assert upscale("in", "-o", "made") == 0
    os.rename("made/a.nii", "in/a-big.nii")
    os.rename("made/b.nii", "in/b-big.nii")
    capsys.readouterr()
    for _ in range(2):
        assert upscale("in", "-o", "out") == 0
        assert files_below("out") == [".iconet.jsonl", "a.nii", "b.nii"]
        said = capsys.readouterr().err
        assert "2 left out (made by iconet; --again takes them too)" in said
    assert upscale("in", "-o", "out", "--again") == 0
    assert len(files_below("out")) == 5
    os.remove("in/a.nii")
    os.remove("in/b.nii")
    assert upscale("in", "-o", "nothing") == 2
    assert "in: is a result of iconet already" in capsys.readouterr().err
    assert not Path("nothing").exists()


def test_a_derivative_is_no_dataset_of_scans(capsys):
    dataset()
    assert upscale("ds") == 0
    assert upscale("ds/derivatives/iconet", "-o", "out") == 2
    assert "is a result of iconet already" in capsys.readouterr().err
    assert not Path("out").exists()
