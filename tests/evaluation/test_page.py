"""What a benchmark's page says, and where."""

import pytest

from iconet.errors import InputError
from iconet.evaluation import benchmark, sfrc
from iconet.evaluation.lowering import WAYS
from iconet.evaluation.metrics import CONVENTION

from .conftest import rows_of

pytestmark = pytest.mark.usefixtures("no_figures")


def headings(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_a_page_of_interpolations_has_no_training_runs(plain):
    text = benchmark.run(plain, ["every=2"], max_time="1h")
    assert (plain.parent / "out" / "benchmark.md").read_text() == text
    first, command = text.splitlines()[:3:2]
    assert first == "# Benchmark"
    assert command.startswith(f"`iconet benchmark {plain} every=2 --max-time 1h`, ")
    assert f"{CONVENTION} {sfrc.CONVENTION}" in text
    assert f"- kspace-crop: {WAYS['kspace-crop']}." in text
    assert "every 2th slice" in text and "Split 'test'" in text
    assert headings(text)[-1] == "## Made with"
    assert not {"## Training runs", "## Figures"} & set(headings(text))
    assert "Unfinished" not in text
    assert [row["path"] for row in rows_of(plain, "benchmark")] == sorted(
        ["a.nii", "b.nii", "c.nii"] * 2
    )


def test_a_page_of_networks_says_how_each_was_trained(content, write, trained):
    text = benchmark.run(write(content))
    assert "## Training runs\n\n3 steps each." in text
    runs = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.split("## Training runs")[1].split("## ")[0].splitlines()
        if line.startswith("| sr-x2")
    ]
    assert [run[:4] for run in runs] == [
        ["sr-x2", "iconet", "1", "3"],
        ["sr-x2", "peer", "1", "3"],
        ["sr-x2", "iconet", "2", "3"],
    ]


def test_a_place_that_cannot_be_written_to_is_said(plain):
    benchmark.run(plain)
    page = plain.parent / "out" / "benchmark.md"
    page.unlink()
    page.mkdir()
    with pytest.raises(InputError, match="cannot"):
        benchmark.run(plain)
