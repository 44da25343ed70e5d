"""The tables' arithmetic, on numbers made here."""

import math

import pytest

from iconet.evaluation.results import CostRow, Row
from iconet.evaluation.table import groups, markdown, overview, sections


def row(method, subject, value, *, seed="", path=None, way="kspace-crop", dataset="d"):
    learned = method not in ("linear", "zero-filling")
    return Row(
        condition="c",
        scale=2,
        degradation=way,
        method=method,
        seed=seed,
        weights=f"{method}{seed}" if learned else "",
        compute="cpu" if learned else "",
        dataset=dataset,
        subject=subject,
        path=path or f"{subject}.nii",
        truth="",
        convention="",
        contrast="T1w",
        slices=3,
        psnr_foreground=value,
        ssim_foreground=value / 100,
        nmse_foreground=1 / value,
        psnr=value + 1,
        ssim=value / 90,
        nmse=1 / value,
        haarpsi=value / 80,
        sfrc=1 - value / 100,
    )


ROWS = [
    *(row("zero-filling", s, v) for s, v in (("p", 30), ("q", 32))),
    row("net", "p", 33, seed="1"),
    row("net", "q", 35, seed="1"),
    row("net", "p", 35, seed="2"),
    row("net", "q", 37, seed="2"),
    row("peer", "p", 33.5, seed="1"),
    row("peer", "q", 35, seed="1"),
    row("late", "p", 50, seed="1"),
]
FOCUS = {"c": "net"}


def cells(text, start):
    lines = [line for line in text.splitlines() if line.startswith(f"| {start} ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_seeds_are_averaged_within_a_subject_and_their_spread_is_that_of_the_means():
    (group,) = groups(ROWS)
    net = group.of("net")
    assert net.subjects["p"]["PSNR fg"] == 34
    assert net.mean("PSNR fg") == 35
    assert net.spread["PSNR fg"] == pytest.approx(math.sqrt(2))  # of 34 and 36
    assert net.seeds == 2
    assert math.isnan(group.of("peer").spread["PSNR fg"])
    assert not group.of("zero-filling").learned


def test_a_subject_with_two_volumes_counts_once():
    rows = [row("linear", "p", 10, path="1"), row("linear", "p", 20, path="2")]
    rows.append(row("linear", "q", 25))
    (group,) = groups(rows)
    assert group.of("linear").mean("PSNR fg") == (15 + 25) / 2
    assert group.volumes == 3


def test_what_is_not_measured_on_every_volume_does_not_compete():
    (group,) = groups([*ROWS, row("peer", "p", 99, seed="2")])
    assert [score.method for score in group.scores] == ["net", "peer", "zero-filling"]
    assert group.of("peer").subjects["p"]["PSNR fg"] == 33.5
    assert group.left_out == ["late seed 1", "peer seed 2"]


def test_the_lead_is_that_over_the_best_other_network_and_paired():
    text = overview(groups(ROWS), FOCUS)
    (line,) = cells(text, "c")
    assert line[:8] == [
        "c",
        "kspace-crop",
        "d, T1w",
        "2",
        "1 of 3",
        "peer",
        "+0.75 [+0.50, +1.00]",
        "0.5",
    ]
    (lead,) = cells(sections(groups(ROWS), FOCUS, {}), "zero-filling")[1:]
    assert lead[1:3] == ["+4.00 [+4.00, +4.00]", "0.5"]


def test_where_the_focus_is_not_first_the_overview_says_so():
    (line,) = cells(overview(groups(ROWS), {"c": "peer"}), "c")
    assert line[4:7] == ["2 of 3", "net", "-0.75 [-1.00, -0.50]"]


def test_the_best_value_of_each_column_is_bold_whoever_has_it():
    cost = CostRow(
        "peer", 2, "False", "", "cpu", 1_370_000, 12.34, 5.0, 4.0, 6.0, 33.3, *[float("nan")] * 2
    )
    text = sections(groups(ROWS), FOCUS, {"c": {"peer": cost}})
    (net, *_), (peer, *_) = cells(text, "**net**"), cells(text, "peer")
    assert net[1] == "**35.00** ± 1.41"
    first, second = (1 / 33 + 1 / 35) / 2, (1 / 35 + 1 / 37) / 2
    assert net[5] == f"**{(first + second) / 2:.5f}** ± {(first - second) / 2**0.5:.5f}"
    assert peer[1] == "34.25"
    assert net[7] == "**0.650** ± 0.014"  # less is better here as well
    assert peer[8:] == ["1", "1.37 M", "12.3", "5.0", "33"]
    assert "GPU" not in text


def test_conditions_and_data_sets_are_never_in_one_group():
    rows = [*ROWS, row("net", "p", 20, seed="1", dataset="e"), row("net", "p", 9, way="noisy")]
    found = groups(rows)
    assert [(g.dataset, g.degradation) for g in found] == [
        ("d", "kspace-crop"),
        ("e", "kspace-crop"),
        ("d", "noisy"),
    ]


def test_several_tests_of_a_condition_stand_side_by_side():
    rows = [row("net", "p", 30, seed="1"), row("net", "p", 20, seed="1", way="noisy")]
    (line, *_) = cells(sections(groups(rows), FOCUS, {}), "net")
    assert line == ["net", "30.00", "20.00"]


def test_columns_are_padded_and_numbers_stand_right():
    text = markdown([["name", "x"], ["a", "1"], ["long name", "22.5"]])
    assert text.splitlines() == [
        "| name      |    x |",
        "| --------- | ---: |",
        "| a         |    1 |",
        "| long name | 22.5 |",
    ]
