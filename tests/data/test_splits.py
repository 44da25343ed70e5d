"""Who is in which split, and the table that says so."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iconet.data.splits import COLUMNS, assign, read_splits, write_table
from iconet.errors import InputError

HEADER = "dataset,subject,split,path,contrast,sharp_plane\n"
PEOPLE = [f"IXI{number:03}" for number in range(400)]


def test_shares_are_those_asked_for() -> None:
    splits = list(assign(PEOPLE, train=0.7, validation=0.1).values())
    assert [splits.count(s) for s in ("train", "validation", "test")] == pytest.approx(
        [280, 40, 80], abs=20
    )


@given(st.sets(st.sampled_from(PEOPLE), max_size=100), st.randoms())
def test_more_subjects_or_another_order_move_nobody(added: set[str], random: object) -> None:
    before = assign(PEOPLE[:100], train=0.7, validation=0.1)
    more = [*PEOPLE[:100], *added, *added]
    random.shuffle(more)
    after = assign(more, train=0.7, validation=0.1)
    assert {name: after[name] for name in before} == before


@given(st.sets(st.text(), min_size=1, max_size=12))
def test_every_split_gets_a_subject_as_far_as_there_are_enough(subjects: set[str]) -> None:
    found = set(assign(subjects, train=0.7, validation=0.1).values())
    assert found == set(["train", "validation", "test"][: len(subjects)])
    without = set(assign(subjects, train=0.9, validation=0.1).values())
    assert without == set(["train", "validation"][: len(subjects)])


def test_the_split_of_a_name_is_the_same_on_every_machine() -> None:
    # Published splits depend on it: these must never change.
    found = assign(PEOPLE[:8], train=0.5, validation=0.25)
    of = {split: {n for n in found if found[n] == split} for split in found.values()}
    assert of["train"] == {"IXI003", "IXI006"}
    assert of["validation"] == {"IXI000", "IXI007"}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    row = dict(zip(COLUMNS, ("d", "1", "train", 'a "ü",\n.nii', "T1w", "auto"), strict=True))
    write_table([row | {"site": "HH"}], tmp_path / "new" / "splits.csv")
    [found] = read_splits(tmp_path / "new", "splits.csv", "train")
    assert found == row | {"site": "HH"}
    assert read_splits(tmp_path / "elsewhere", tmp_path / "new/splits.csv", "train") == [found]


def test_a_name_that_no_table_can_hold_is_said(tmp_path: Path) -> None:
    name = os.fsdecode(b"scan \xe9.nii")  # of another century's file system
    assert assign([name], train=0.7, validation=0.1) == {name: "train"}
    with pytest.raises(InputError, match="not UTF-8"):
        write_table([{"path": name}], tmp_path / "splits.csv")
    assert not list(tmp_path.iterdir())


def test_a_table_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    table = tmp_path / "splits.csv"
    table.write_text("old")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_table([], table)
    assert list(tmp_path.iterdir()) == [table]
    assert table.read_text() == "old"


def test_rows_of_one_split_are_read(tmp_path: Path) -> None:
    rows = "d,1,train,a ü.nii,T1w,axial\nd,2,test,b.nii,T1w,axial\nd,3,train,c.nii,T2w,auto\n"
    (tmp_path / "splits.csv").write_text(HEADER + rows, encoding="utf-8")
    found = read_splits(tmp_path, "splits.csv", "train")
    assert [(row["subject"], row["path"]) for row in found] == [("1", "a ü.nii"), ("3", "c.nii")]


def test_the_mark_that_spreadsheets_put_first_is_no_part_of_a_column(tmp_path: Path) -> None:
    table = HEADER + "d,1,train,a.nii,T1w,axial\n"
    (tmp_path / "splits.csv").write_text(table, encoding="utf-8-sig")
    assert read_splits(tmp_path, "splits.csv", "train")[0]["dataset"] == "d"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such table of scans; set data.root"),
        (b"", "lacks contrast, dataset, path, sharp_plane, split, subject"),
        (HEADER.encode(), "lacks"),
        (b"dataset,subject,path\nd,1,a.nii\n", "lacks contrast, sharp_plane, split"),
        (HEADER.encode() + b"d,1,test,a.nii,T1w,axial\n", "no scan has split 'train'"),
        (HEADER.encode() + b"d,1,train,a.nii\n", "scan 1 lacks values"),
        (
            HEADER.encode() + b"d,1,train,a.nii,T1w,axial\nd,1,test,b.nii,T2w,axial\n",
            "subject '1' of 'd' is in two splits",
        ),
        (HEADER.encode() + b"\xff\xfe\n", "not a readable CSV table"),
    ],
    ids=["missing", "empty", "header alone", "columns", "split", "short row", "leak", "binary"],
)
def test_tables_that_cannot_be_used_are_refused_in_one_line(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    table = tmp_path / "splits.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        read_splits(tmp_path, "splits.csv", "train")
    assert str(error.value).startswith(f"{table}: ")
    assert "\n" not in str(error.value)


def test_several_tables_are_read_as_one(tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS, "x") | {"split": "train"}
    write_table([{**row, "subject": "a", "path": "a.nii"}], tmp_path / "one.csv")
    others = [
        {**row, "subject": "b", "path": "b.nii"},
        {**row, "subject": "c", "path": "c.nii", "split": "test"},
    ]
    write_table(others, tmp_path / "more" / "two.csv")
    second = tmp_path / "more" / "two.csv"
    tables: list[str | Path] = ["one.csv", second]
    assert [row["path"] for row in read_splits(tmp_path, tables, "train")] == ["a.nii", "b.nii"]
    assert [row["path"] for row in read_splits(tmp_path, tables, "test")] == ["c.nii"]
    write_table([{**row, "subject": "a", "path": "d.nii", "split": "test"}], second)
    with pytest.raises(InputError, match=r"subject 'a' of .* is in two splits"):
        read_splits(tmp_path, tables, "train")
