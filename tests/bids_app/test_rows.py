"""What the table says of one result, and which one stands out."""

from pathlib import Path

import pytest

from iconet.bids_app.page import group_page
from iconet.bids_app.rows import COLUMNS, missing_row, row_of, with_outliers

SOURCE = Path("sub-1/anat/sub-1_T1w.nii.gz")
IMAGE = Path("out/sub-1/anat/sub-1_desc-iconet_T1w.nii.gz")


def row(**report):
    return row_of(IMAGE, Path("out"), SOURCE, report)


def test_nothing_known_is_n_a_and_no_cell_breaks_the_table():
    bare = row()
    assert list(bare) == list(COLUMNS)
    assert bare["model"] == bare["session_id"] == bare["findings"] == "n/a"
    assert bare["status"] == "made" and bare["image"] == "sub-1/anat/sub-1_desc-iconet_T1w.nii.gz"
    odd = row(models=[{"name": "a\tb\nc", "sha256": "0" * 64}], consistency=None, seconds=3)
    assert odd["model"] == "a b c" and odd["weights"] == "0" * 12
    assert missing_row(SOURCE)["participant_id"] == "sub-1"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"interpolation": "CT has no model"}, "interpolated: CT has no model"),
        (
            {"acquired": {"matrix": [192, 256], "stored": [256, 256], "window": "hamming"}},
            "acquired 192x256 of 256x256, hamming undone",
        ),
        ({"set_apart": {"nan": 3, "wild": 0}}, "3 nan voxels set apart"),
        ({"consistency_missing": "labels are names"}, "no consistency: labels are names"),
    ],
)
def test_findings_are_what_is_to_be_looked_at(report, said):
    assert row(**report)["findings"] == said


def test_a_consistency_far_below_the_others_stands_out():
    rows = [row(consistency={"psnr": 44 + number / 10}) for number in range(9)]
    assert all(one["findings"] == "n/a" for one in with_outliers(rows))
    low = row(consistency={"psnr": 30.0}, interpolation="so")
    (*others, found) = with_outliers([*rows, low, missing_row(SOURCE), low])[:11]
    assert all(one["findings"] == "n/a" for one in others[:9])
    assert others[9]["findings"] == "interpolated: so; consistency far below the median of 44.3 dB"
    assert found["status"] == "missing"
    assert with_outliers([low, *rows[:3]])[0]["findings"] == "interpolated: so"


def test_names_are_text_on_the_page():
    page = group_page("a<b", [{**missing_row(SOURCE), "findings": "<script>"}])
    assert "<script>" not in page and "a&lt;b" in page and "1 scans without one" in page
