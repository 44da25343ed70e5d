"""Tables on disk: a line as soon as it is measured, nothing of others overwritten."""

from dataclasses import replace

import pytest

from iconet.errors import InputError
from iconet.evaluation import benchmark
from iconet.evaluation.lowering import WAYS
from iconet.evaluation.results import (
    CostRow,
    Key,
    Row,
    StepRow,
    append_row,
    convention_id,
    read_rows,
    write_rows,
)

ROW = Row(
    **{"condition": "sr-x2", "scale": 2, "degradation": "kspace-crop", "method": 'a, "b" ü'},
    **{"seed": "1", "weights": "", "compute": "", "dataset": "toy", "subject": "s1"},
    **{"path": "a.nii", "truth": "3 x 4", "convention": "abc", "contrast": "T1w", "slices": 3},
    **{"psnr_foreground": 31.5, "ssim_foreground": 0.9, "nmse_foreground": 0.01, "psnr": 30.25},
    **{"ssim": 0.8, "nmse": float("inf"), "haarpsi": 0.7, "sfrc": 0.1},
)
COST = CostRow("iconet", 2, "", "abc", "cpu", 12, 1.5, 2.0, 1.0, 3.0, 4.0, 5.0, 6.0)
STEP = StepRow("tests", "abc", "cpu", 0.1, 0.05, 0.2)

pytestmark = pytest.mark.usefixtures("no_figures")


def test_a_table_of_another_version_is_not_overwritten(plain):
    benchmark.run(plain)
    results = plain.parent / "out" / "results.csv"
    results.write_text("something,else\n1,2\n")
    with pytest.raises(InputError, match="move it away"):
        benchmark.run(plain)
    assert results.read_text() == "something,else\n1,2\n"


@pytest.mark.parametrize("row", [ROW, COST, STEP], ids=lambda row: type(row).__name__)
def test_rows_come_back_as_they_were(tmp_path, row):
    path = tmp_path / "table.csv"
    assert read_rows(path, type(row)) == []
    append_row(path, row)
    append_row(path, row)
    assert read_rows(path, type(row)) == [row, row]
    write_rows(path, [row], type(row))
    assert read_rows(path, type(row)) == [row]
    write_rows(path, [], type(row))
    assert read_rows(path, type(row)) == []
    append_row(path, row)  # below the header that is there
    assert read_rows(path, type(row)) == [row]


def test_a_line_that_was_cut_off_is_gone_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    append_row(path, STEP)
    whole = path.read_bytes()
    other = replace(STEP, digest="def")
    append_row(path, other)
    path.write_bytes(path.read_bytes()[:-9])
    assert read_rows(path, StepRow) == [STEP]
    assert path.read_bytes() == whole
    append_row(path, other)
    assert read_rows(path, StepRow) == [STEP, other]
    path.write_bytes(whole[:10])  # in the header
    assert read_rows(path, StepRow) == []
    append_row(path, STEP)
    assert read_rows(path, StepRow) == [STEP]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("seconds", "minutes", "has other columns"), ("0.05", "fast", "is damaged")],
)
def test_another_table_is_refused_and_stays(tmp_path, old, new, said):
    path = tmp_path / "table.csv"
    append_row(path, STEP)
    path.write_text(path.read_text().replace(old, new))
    before = path.read_bytes()
    with pytest.raises(InputError, match=rf"table\.csv {said}.*: move it away"):
        read_rows(path, StepRow)
    assert path.read_bytes() == before


def test_what_cannot_be_written_is_said(tmp_path):
    for write in (lambda path: append_row(path, STEP), lambda path: write_rows(path, [], StepRow)):
        with pytest.raises(InputError, match=r"cannot write|cannot be written"):
            write(tmp_path / "missing" / "table.csv")


def test_a_measurement_is_recognised_by_what_it_is_of_and_not_by_its_numbers():
    assert type(ROW.key) is Key
    assert replace(ROW, psnr=0.0, slices=1).key == ROW.key
    assert replace(ROW, truth="3 x 5").key != ROW.key
    assert len({convention_id(way) for way in WAYS}) == len(WAYS)
