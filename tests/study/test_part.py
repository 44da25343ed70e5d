"""Participants, sessions and shards of datasets and folders."""

import json
from pathlib import Path

import pytest

from iconet.errors import InputError
from iconet.study.find import find_tasks
from iconet.study.part import Part
from iconet.study.shard import Shard

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [
        "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
        "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
        "sub-01/ses-b/func/sub-01_ses-b_task-rest_bold.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
        "sub-03/anat/sub-03_T1w.nii.gz",
        "sub-03/anat/sub-03_FLAIR.nii.gz",
    ]:
        path = Path("ds", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    Path("ds/sub-04.html").touch()
    Path("ds/dataset_description.json").write_text(json.dumps({"BIDSVersion": "1.9.0"}))


def found(part, inputs=("ds",), output=None, note=lambda line: None):
    return [
        task.source.name.split(".")[0]
        for task in find_tasks([Path(one) for one in inputs], output, part=part, note=note)
    ]


@pytest.mark.parametrize(
    ("participants", "sessions", "names"),
    [
        (("02",), (), ["sub-02_ses-a_T1w"]),
        (("sub-02", "02"), (), ["sub-02_ses-a_T1w"]),
        (("03", "02"), (), ["sub-02_ses-a_T1w", "sub-03_FLAIR", "sub-03_T1w"]),
        ((), ("b",), ["sub-01_ses-b_T1w"]),
        (("01", "02"), ("ses-a",), ["sub-01_ses-a_T1w", "sub-02_ses-a_T1w"]),
    ],
)
def test_participants_and_sessions_are_chosen_by_label(participants, sessions, names):
    assert found(Part(participants, sessions)) == names


def test_what_is_left_out_is_said_of_the_part_that_is_meant():
    for part, count in ((Part(), 1), (Part(("01",), ("b",)), 1), (Part(("02",)), 0)):
        said = []
        found(part, note=said.append)
        assert len(said) == count, (part, said)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part(("07", "01", "9")), "no participant 07, 9; it has 01, 02, 03"),
        (Part((), ("c",)), "none of the participants has ses-c; they have ses-a, ses-b"),
        (Part(("03",), ("a",)), "none of the participants has ses-a; they have none"),
    ],
)
def test_labels_that_are_not_there_are_refused_with_those_that_are(part, said):
    with pytest.raises(InputError, match=f"ds: {said}"):
        found(part)


def test_a_folder_has_no_participants():
    Path("in").mkdir()
    with pytest.raises(InputError, match="in: is not a BIDS dataset"):
        found(Part(("01",)), ["in"], Path("out"))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_shards_share_a_dataset(count):
    shares = [found(Part(shard=Shard(index, count))) for index in range(1, count + 1)]
    everything = sorted(name for share in shares for name in share)
    assert everything == sorted(found(Part()))
    if count <= 3:  # whole participants
        people = [{name[:6] for name in share} for share in shares]
        assert sum(map(len, people)) == 3


def test_a_shard_looks_into_no_folder_of_others(monkeypatch):
    from iconet.images import bids

    looked = []
    real = bids.scans
    monkeypatch.setattr(bids, "scans", lambda places: looked.extend(places) or real(places))
    found(Part(shard=Shard(2, 3)))
    assert [place.name for place in looked] == ["sub-02"]


def test_shards_share_files_that_are_named(tmp_path):
    files = [f"{number}.nii" for number in range(7)]
    for name in files:
        Path(name).touch()
    shares = [found(Part(shard=Shard(index, 3)), files, Path("out")) for index in (1, 2, 3)]
    assert shares == [["0", "3", "6"], ["1", "4"], ["2", "5"]]
