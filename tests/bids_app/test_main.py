"""The contract of BIDS Apps, as pipelines call them."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import iconet
from iconet.bids_app import main

from ..study.studies import files_below, times

pytestmark = pytest.mark.usefixtures("folder")
HOW = ("--model", "model.safetensors", "--precision", "fp32", "--backend", "torch")


def app(*arguments, level="participant", dataset="ds", output="out"):
    how = HOW if level == "participant" else ()
    return main.run([dataset, output, level, *arguments, *how])


def table():
    lines = Path("out/group_iconet.tsv").read_text().splitlines()
    return list(csv.DictReader(lines, delimiter="\t"))


def images():
    return [name for name in files_below("out") if name.endswith(".nii.gz")]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--participant-label", "01", "02"), 4),
        (("--participant_label", "sub-02"), 2),
        (("--participant-label", "01", "--session-id", "b"), 1),
        (("--session-label", "ses-a", "--shard", "1/2"), 1),
    ],
)
def test_participants_and_sessions_are_upscaled(arguments, count):
    before = times("ds")
    assert app(*arguments) == 0
    assert len(images()) == count
    assert json.loads(Path("out/dataset_description.json").read_text())["GeneratedBy"]
    assert times("ds") == before, "the dataset is only read"


def test_the_group_has_a_row_for_each_result_and_for_each_scan_without_one(capsys):
    assert app("--participant-label", "02") == 0
    assert app(level="group") == 0
    assert "2 of 4 scans have no result: sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz, " in (
        capsys.readouterr().err
    )
    rows = table()
    assert [row["status"] for row in rows] == ["missing", "missing", "made", "made"]
    row = rows[2]
    assert (row["participant_id"], row["session_id"]) == ("sub-02", "ses-a")
    assert (Path("out") / row["image"]).exists() and (Path("ds") / row["source"]).exists()
    report = json.loads(Path("out", row["image"].replace(".nii.gz", ".json")).read_text())
    report = report["IconetReport"]
    assert float(row["consistency_psnr"]) == pytest.approx(report["consistency"]["psnr"], 1e-5)
    assert float(row["seconds_upscale"]) == pytest.approx(report["seconds"]["upscale"], 1e-5)
    assert row["weights"] == report["models"][0]["sha256"][:12]
    assert row["voxel_before"] == "1x1x3" and row["voxel_after"] == "0.5x0.5x3"
    assert rows[0]["consistency_psnr"] == "n/a"
    columns = json.loads(Path("out/group_iconet.json").read_text())
    assert list(columns) == list(row) and all(one["Description"] for one in columns.values())
    page = Path("out/group_iconet.html").read_text()
    assert not Path("out/index.html").exists()  # that of --html
    assert f'href="{row["image"]}"' in page and "2 scans without one" in page
    # Once more, when all is there.
    assert app() == 0
    assert app(level="group") == 0
    assert [row["status"] for row in table()] == ["made"] * 4
    made = times("out")
    assert app() == 0
    assert times("out") == made


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ds", "out"], "arguments are required: analysis_level"),
        (["ds", "out", "all"], "invalid choice: 'all'"),
        (["ds", "out", "participant", "--participants", "1"], "unrecognized arguments"),
        (["ds", "out", "participant", "--n-procs", "x"], "invalid int value"),
        (["ds", "out", "participant", "--participant-label", "7"], "no participant 7; it has 01"),
        (["ds/sub-01", "out", "participant"], "ds/sub-01: is not a BIDS dataset"),
        (["nowhere", "out", "participant"], "nowhere: is not a BIDS dataset"),
        (["ds", "out", "group"], "out: no results of iconet there"),
        (["ds", "out", "participant", "--shard", "auto"], "this is not a job of an array"),
    ],
)
def test_wrong_calls_end_in_one_line_and_write_nothing(arguments, said, capsys, monkeypatch):
    assert main.run(arguments) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and err.startswith("iconet: error: ")
    assert not Path("out").exists()


def test_a_derivative_of_another_dataset_has_no_group():
    assert app("--participant-label", "01") == 0
    shutil.copytree("ds", "other")
    assert app(level="group", dataset="other") == 2


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_end_well(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main.run([option])
    assert ended.value.code == 0
    assert (f"iconet-bids {iconet.__version__}" if option == "--version" else "BIDS dataset") in (
        capsys.readouterr().out
    )


@pytest.mark.skipif(
    shutil.which("bids-validator-deno") is None, reason="bids-validator-deno is not installed"
)
def test_the_official_validator_finds_no_error():
    assert app() == 0
    assert app(level="group") == 0
    command = ["bids-validator-deno", "--format", "json", "out"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    issues = result["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []
    assert result["summary"]["totalFiles"] >= 9
