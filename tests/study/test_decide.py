"""Each reason why an output is finished, is made again, or is left alone."""

import os

import pytest

from iconet.errors import InputError
from iconet.images import read
from iconet.study.decide import files_of, is_finished, read_from, remove_partial, written_files
from iconet.study.find import Task
from iconet.study.ledger import fingerprint

from .studies import scan, series

HOW = {"weights": ["ab"], "scale": 2}


@pytest.fixture
def task(tmp_path):
    scan(tmp_path / "in/a.nii")
    scan(tmp_path / "out/a.nii", seed=1)
    return Task(tmp_path / "in/a.nii", tmp_path / "out/a.nii", tmp_path / "out")


def entry(task, how=HOW):
    """What the record says of an output that is complete."""
    files = [fingerprint(path) for path in written_files(task.target)]
    return {"output": task.key, "files": files, "inputs": [fingerprint(task.source)], "how": how}


BEGUN = {"output": "a.nii", "pid": os.getpid()}


def finished(task, *known, how=HOW, needs_report=False):
    return is_finished(task, known, how, needs_report=needs_report)


def test_an_output_made_alike_from_the_same_scan_is_finished(task):
    assert finished(task, entry(task))
    assert finished(task, BEGUN, entry(task))
    for path in (task.source, task.target):
        os.utime(path, ns=(0, 0))  # the same content at another time
    assert finished(task, entry(task))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (HOW | {"scale": 4}, "made with --scale 2; choose another"),
        (HOW | {"isotropic": True}, "made with --isotropic unknown; "),
        (HOW | {"weights": ["cd"]}, "made with other weights; "),
        ({"weights": ["cd"], "plane": "k"}, "made with other weights, --plane unknown; "),
    ],
)
def test_what_was_made_with_other_weights_or_options_stays(task, how, said):
    for known in (
        [entry(task)],
        [entry(task), BEGUN | {"how": how}],
        [entry(task, how), entry(task)],
    ):
        with pytest.raises(InputError, match=said):
            finished(task, *known, how=how)


def test_what_was_begun_with_other_options_stays_too(task):
    with pytest.raises(InputError, match="made with --scale 2"):
        finished(task, BEGUN | {"how": HOW}, how=HOW | {"scale": 4})
    assert not finished(task, BEGUN | {"how": HOW})


def test_another_scan_makes_it_again(task):
    known = entry(task)
    scan(task.source, seed=2)
    assert not finished(task, known)


def test_an_output_that_is_not_there_is_to_be_made(task):
    known = entry(task)
    task.target.unlink()
    assert not finished(task)
    assert not finished(task, known)


def test_a_report_that_is_wanted_and_not_there_makes_it_again(task):
    assert not finished(task, entry(task), needs_report=True)
    task.report_path.write_text("{}")
    assert finished(task, entry(task), needs_report=True)


def test_a_report_of_others_is_left_alone(task):
    task.target.unlink()
    task.report_path.write_text("{}")
    assert not finished(task)
    with pytest.raises(InputError, match=r"report\.json: is there already; move it"):
        finished(task, needs_report=True)
    assert not finished(task, BEGUN, needs_report=True)  # iconet had begun it


def test_an_output_that_was_begun_and_no_more_is_known_of_is_made_again(task):
    assert not finished(task, BEGUN)
    assert not finished(task, entry(task), BEGUN)


def test_what_iconet_did_not_make_is_left_alone(task):
    with pytest.raises(InputError, match="not as iconet wrote it; move it, or give --overwrite"):
        finished(task)
    given_up = {"output": "a.nii", "files": []}
    with pytest.raises(InputError, match="not as iconet wrote it"):
        finished(task, given_up)
    known = entry(task)
    scan(task.target, seed=3)
    with pytest.raises(InputError, match="not as iconet wrote it"):
        finished(task, known)


def test_an_older_output_of_ours_may_be_replaced(task):
    """A later run was given up: what it found is still what iconet wrote before."""
    assert not finished(task, entry(task), {"output": "a.nii", "files": []})


def test_one_output_by_name_is_never_taken_for_ours(task):
    alone = Task(task.source, task.target)
    with pytest.raises(InputError, match="is there already; give --overwrite to replace it"):
        finished(alone, entry(alone))


def test_the_input_is_never_an_output(task):
    with pytest.raises(InputError, match="input"):
        finished(Task(task.source, task.source, task.source.parent))


def test_a_series_is_finished_when_all_of_its_files_are(tmp_path):
    task = Task(series(tmp_path / "in"), series(tmp_path / "out/in"), tmp_path / "out")
    known = {
        "files": [fingerprint(path) for path in written_files(task.target)],
        "inputs": [fingerprint(path) for path in files_of(task.source)],
        "how": HOW,
    }
    assert finished(task, known)
    (task.target / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not as iconet wrote it"):
        finished(task, known)


def test_an_empty_folder_is_no_output(tmp_path):
    (tmp_path / "out").mkdir()
    assert not finished(Task(series(tmp_path / "in"), tmp_path / "out"))


def test_a_detached_file_of_voxels_is_a_part_of_its_scan(tmp_path):
    header, voxels = tmp_path / "a.mhd", tmp_path / "a.raw"
    assert written_files(header) == [header, voxels]
    assert written_files(tmp_path / "a.mha") == files_of(tmp_path / "a.mha")
    voxels.write_bytes(bytes(24))
    header.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementSpacing = 1 1 1\n"
        "ElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    found = read(header)
    assert files_of(header, found) == read_from(header, found) == [header, voxels]
    scan(tmp_path / "out/a.nii")
    task = Task(header, tmp_path / "out/a.nii", tmp_path / "out")
    known = {**entry(task), "inputs": [fingerprint(path) for path in (header, voxels)]}
    assert finished(task, known)
    voxels.write_bytes(b"other voxels".ljust(24))
    assert not finished(task, known)


def test_of_a_folder_only_the_files_of_the_series_were_read(tmp_path):
    folder = series(tmp_path / "in")
    (folder / "notes.txt").write_text("mine")
    assert len(files_of(folder)) == 4
    assert sorted(read_from(folder, read(folder))) == sorted(folder.glob("*.dcm"))
    assert files_of(folder / "DICOMDIR") == files_of(folder)


def test_what_killed_processes_left_of_an_output_is_removed(task):
    folder = task.root / ".a.nii.deadbeef.partial"
    folder.mkdir()
    (folder / "00001.dcm").write_text("cut off")
    file = task.root / ".a.nii.cafecafe.partial.nii"
    file.write_text("cut off")
    other = task.root / ".b.nii.cafecafe.partial.nii"
    other.write_text("of another output")
    remove_partial(task)
    assert not folder.exists() and not file.exists() and other.exists()
    assert task.target.exists()
