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


def test_a_folder_of_dicom_is_one_scan_and_may_lie_beside_others():
    series("in/deep", "MR")
    Path("in/.hidden").mkdir()
    scan("in/.hidden/a.nii")
    Image.new("L", (8, 8)).save("in/preview.png")
    Path("in/report.docx").write_bytes(b"PK\3\4")
    assert find_tasks([Path("in")], Path("out")) == [Task(Path("in"), Path("out"))]
    scan("in/b.nii")
    assert targets(["in"], "out") == {"in/b.nii": "out/b.nii", "in/deep": "out/deep"}
    with pytest.raises(InputError, match=r"in: holds DICOM and other scans \(b.nii\)"):
        find_tasks([Path("in")], Path("out"), one_series=True)


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


def notes(inputs, output="out"):
    said = []
    try:
        find_tasks([Path(name) for name in inputs], Path(output), note=said.append)
    except InputError as error:
        said.append(str(error))
    return said


def test_every_folder_with_dicom_files_is_a_series():
    series("in/p1/t1", uid="1.1")
    series("in/p1/t2", uid="1.2")
    series("in/p2", uid="1.3")
    assert targets(["in"], "out") == {
        "in/p1/t1": "out/p1/t1",
        "in/p1/t2": "out/p1/t2",
        "in/p2": "out/p2",
    }
    assert find_tasks([Path("in")], Path("out"), one_series=True) == [Task(Path("in"), Path("out"))]
    assert targets(["in/p1", "in/p2"], "out")["in/p1/t2"] == "out/p1/t2"


def test_one_series_in_several_folders_stays_one():
    series("in/a/1", uid="1.1")
    series("in/a/2", uid="1.1")
    assert find_tasks([Path("in")], Path("out")) == [Task(Path("in"), Path("out"))]
    series("in/b", uid="1.2")
    assert targets(["in"], "out") == {"in/a": "out/a", "in/b": "out/b"}
    series("in/a/3", uid="1.2")
    (line,) = notes(["in"])
    assert "hold parts of one series; name the folder above them alone" in line


def test_dicom_that_is_no_scan_is_named():
    series("in/p1", uid="1.1")
    series("in/p2", uid="1.2")
    for path in series("in/report", uid="1.3", modality="SR").iterdir():
        assert path.is_file()
    assert targets(["in"], "out") == {"in/p1": "out/p1", "in/p2": "out/p2"}
    assert notes(["in"]) == ["in: 1 file left out: report (DICOM without a scan)"]


def test_links_to_folders_are_followed_once_and_circles_noticed():
    touch("else/sub-2/x.nii", "in/sub-1/x.nii")
    Path("in/sub-2").symlink_to(Path("else/sub-2").absolute())
    Path("in/a-link").symlink_to("sub-1")
    Path("in/sub-1/up").symlink_to(Path("in").absolute())
    assert targets(["in"], "out") == {
        "in/sub-1/x.nii": "out/sub-1/x.nii",
        "in/sub-2/x.nii": "out/sub-2/x.nii",
    }
    (line,) = notes(["in"])
    assert line == (
        "in: 2 files left out: a-link (the same folder again), sub-1/up (the same folder again)"
    )


def test_what_is_not_taken_is_counted_and_named():
    touch("in/a.nii", "in/b.mnc", "in/c/d.par", "in/c/d.rec", "in/e.dcm")
    touch("in/a.json", "in/README", "in/participants.tsv", "in/x.bval", "in/.hidden.mnc")
    touch("in/h.mhd", "in/h.raw", "in/c/alone.raw", "in/half.img", "in/half2.hdr")
    touch("in/gone.nii.mnc")
    assert notes(["in"]) == [
        "in: 8 files left out: b.mnc, c/alone.raw, c/d.par, c/d.rec, e.dcm and 3 more"
    ]
    touch("only/b.mnc")
    (line,) = [line for line in notes(["only"]) if "no scan" in line]
    assert "1 file left out: b.mnc" in line and line.endswith("; name another one")


def test_images_in_two_files_are_one_and_become_one():
    touch("in/a.img", "in/a.hdr", "in/B.IMG", "in/B.HDR", "in/c.mgz", "in/half.img")
    assert targets(["in"], "out") == {
        "in/a.img": "out/a.nii",
        "in/B.IMG": "out/B.nii",
        "in/c.mgz": "out/c.mgz",
    }
    assert notes(["in"]) == ["in: 1 file left out: half.img (without its .hdr)"]
    with pytest.raises(InputError, match=r"two inputs would be written to out/a.nii"):
        touch("in/a.nii")
        targets(["in"], "out")


def test_a_dataset_without_a_description_gets_a_line_and_one_with_it_names_the_rest():
    touch("ds/sub-1/anat/sub-1_T1w.nii.gz", "ds/sub-1/func/sub-1_task-x_bold.nii.gz")
    (line,) = notes(["ds"])
    assert line.startswith("ds: looks like a BIDS dataset without a dataset_description.json")
    Path("ds/dataset_description.json").write_text(json.dumps({"BIDSVersion": "1.9.0"}))
    assert notes(["ds"]) == [
        "ds: no anatomical images, 1 file left out: sub-1/func/sub-1_task-x_bold.nii.gz"
    ]
    Path("ds/dataset_description.json").write_text("{")
    (line,) = notes(["ds"])
    assert line.startswith("ds/dataset_description.json: is not JSON")


def test_subjects_of_a_dataset_may_be_links():
    touch("elsewhere/sub-1/anat/sub-1_T1w.nii.gz")
    Path("ds").mkdir()
    Path("ds/dataset_description.json").write_text(json.dumps({"BIDSVersion": "1.9.0"}))
    Path("ds/sub-1").symlink_to(Path("elsewhere/sub-1").absolute())
    assert list(targets(["ds"], None)) == ["ds/sub-1/anat/sub-1_T1w.nii.gz"]
