"""Which scans there are, and where each output goes; no network."""

import json
from pathlib import Path

import pytest
from PIL import Image

from iconet.errors import InputError
from iconet.study.find import Task, find_tasks, names_series

from .studies import raw, scan, series


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def targets(inputs, output):
    tasks = find_tasks([Path(name) for name in inputs], None if output is None else Path(output))
    return {task.source.as_posix(): task.target.as_posix() for task in tasks}


def test_one_scan_goes_to_a_file_or_into_a_folder():
    touch("a.nii.gz")
    (task,) = find_tasks([Path("a.nii.gz")], Path("b.nii"))
    assert task == Task(Path("a.nii.gz"), Path("b.nii")) and task.key == "b.nii"
    (task,) = find_tasks([Path("a.nii.gz")], Path("out"))
    assert (task.target, task.root, task.key) == (Path("out/a.nii.gz"), Path("out"), "a.nii.gz")


def test_several_folders_keep_their_names_and_one_its_content():
    touch("in/a/x.nii", "in/a/deep/y.mha", "in/b/x.nii", "in/a/notes.txt", "in/a/.hidden/z.nii")
    assert targets(["in"], "o") == {
        "in/a/deep/y.mha": "o/a/deep/y.mha",
        "in/a/x.nii": "o/a/x.nii",
        "in/b/x.nii": "o/b/x.nii",
    }
    assert targets(["in/a", "in/b"], "o")["in/b/x.nii"] == "o/b/x.nii"


def test_kspace_becomes_nifti_and_results_are_no_inputs():
    touch("in/raw.h5", "in/x.nii", "in/out/x.nii")
    assert targets(["in"], "in/out") == {
        "in/raw.h5": "in/out/raw.nii.gz",
        "in/x.nii": "in/out/x.nii",
    }


def test_a_dataset_has_a_place_for_results_of_its_own():
    touch("ds/sub-1/anat/sub-1_T1w.nii.gz", "ds/sub-1/anat/sub-1_T1map.nii.gz")
    Path("ds/dataset_description.json").write_text(json.dumps({"BIDSVersion": "1.9.0"}))
    (task,) = find_tasks([Path("ds")], None)
    assert task.dataset == Path("ds")
    assert task.key == "sub-1/anat/sub-1_desc-iconet_T1w.nii.gz"
    assert task.report_path == task.root / "sub-1/anat/sub-1_desc-iconet_T1w.json"


def test_calls_that_cannot_be_meant():
    touch("a/x.nii", "b/x.nii", "ds/sub-1/anat/sub-1_bold.nii.gz")
    Path("empty").mkdir()
    Path("ds/dataset_description.json").write_text(json.dumps({"BIDSVersion": "1.9.0"}))
    for inputs, output, said in [
        (["a/x.nii", "b/x.nii"], "out", "two inputs would be written to out/x.nii"),
        (["a/x.nii"], None, "--output"),
        (["empty"], "out", "no scan"),
        (["a", "b"], "out.nii", "names one file for the folder a"),
        (["a/x.nii", "b/x.nii"], "o.mha", "names one file for several scans"),
        (["a"], "a", "is the folder of the scans"),
        (["ds"], None, "no structural image"),
    ]:
        with pytest.raises(InputError, match=said):
            targets(inputs, output)


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("out", True),
        ("1.2.840.10008", True),
        ("v1.2", True),
        ("out.nii.gz", False),
        ("out.mha", False),
        ("out.dcm", False),
    ],
)
def test_a_series_is_named_as_folders_are(name, series):
    assert names_series(Path(name)) == series


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


def test_two_inputs_of_one_output_are_refused():
    raw("in/a.h5")
    scan("in/a.nii.gz")
    with pytest.raises(InputError, match=r"two inputs would be written to out/a.nii.gz"):
        find_tasks([Path("in")], Path("out"))


def test_series_in_a_folder_are_named_by_their_folder_or_archive():
    series("in/1.2.840")
    scan("a.nii")
    file = sorted(Path("in/1.2.840").iterdir())[0]
    tasks = find_tasks([Path("in/1.2.840"), file, Path("a.nii")], Path("out"))
    names = ["out/1.2.840", f"out/{file.stem}", "out/a.nii"]
    assert [task.target.as_posix() for task in tasks] == names


def test_a_folder_that_is_there_may_have_any_other_name():
    Path("out.dcm").mkdir()
    Path("out.nii").mkdir()
    assert names_series(Path("out.dcm"))
    assert not names_series(Path("out.nii"))
