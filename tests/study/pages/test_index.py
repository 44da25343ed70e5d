"""The index of a study: what is finished, in the order that is asked for, and what failed."""

import json
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest

from iconet import cli
from iconet.study import run_one
from iconet.study.pages import index as index_module
from iconet.zoo.model import Model

from ..studies import files_below, scan, series, times
from ..test_study import dataset
from .parsed import Parsed

OPTIONS = ["--model", "x", "--precision", "fp32", "--backend", "torch", "--html"]


@pytest.fixture(autouse=True)
def linear_model(linear, monkeypatch, tmp_path):
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: Model.of(linear))
    monkeypatch.chdir(tmp_path)


def upscale(*arguments):
    return cli.run(["upscale", *arguments, *OPTIONS])


def index(root="out"):
    return Parsed(Path(root, "index.html").read_text("utf-8"))


def links(root="out"):
    return [link["href"] for link in index(root).all("a")]


def test_an_index_lists_pages_pictures_and_what_failed(capsys):
    for number in range(3):
        scan(f"in/deep {number}/a.nii", seed=number)
    Path("in/broken.nii").write_bytes(b"nothing")
    assert upscale("in", "-o", "out") == 2
    assert links() == [f"deep%20{number}/a.nii.report.html" for number in range(3)]
    page = index()
    assert len(page.pictures()) == 3
    assert "3 finished, 1 failed" in page.text and "broken.nii" in page.text
    assert str(Path.cwd()) not in Path("out/index.html").read_text()
    back = [
        link["href"] for link in Parsed(Path("out/deep 1/a.nii.report.html").read_text()).all("a")
    ]
    assert back == ["../index.html"]
    # What is repaired is no longer named; what was finished is listed as before.
    Path("in/broken.nii").unlink()
    made = times("out/deep 0")
    assert upscale("in", "-o", "out") == 0
    assert "failed" not in index().text and len(links()) == 3
    assert times("out/deep 0") == made


def test_an_index_grows_while_the_run_goes_on(monkeypatch):
    for number in range(3):
        scan(f"in/{number}/a.nii", seed=number)
    Path("in/0/broken.nii").write_bytes(b"nothing")
    seen, write_index = [], index_module.write_index

    def watched(*arguments):
        write_index(*arguments)
        seen.append((len(links()), len(arguments[2])) if Path("out/index.html").exists() else None)

    monkeypatch.setattr(index_module, "write_index", watched)
    monkeypatch.setattr(index_module, "OFTEN", 0.0)
    monkeypatch.setattr(index_module, "SHARE", 1e9)
    upscale("in", "-o", "out", "--overwrite")
    assert seen == [(1, 0), (1, 1), (2, 1), (3, 1), (3, 1)]
    seen.clear()
    monkeypatch.setattr(index_module, "OFTEN", 1e9)
    upscale("in", "-o", "out", "--overwrite")
    assert seen == [(3, 0), (3, 1)]  # after the first scan, and at the end


def test_a_run_that_changes_nothing_leaves_the_index_alone():
    scan("in/a.nii")
    assert upscale("in", "-o", "out") == 0
    made = times("out")
    assert upscale("in", "-o", "out") == 0
    assert times("out") == made


def test_cells_have_the_values_that_they_are_sorted_by():
    scan("in/a.nii")
    assert upscale("in", "-o", "out") == 0
    report = json.loads(Path("out/a.nii.report.json").read_text())
    values = [cell["data-value"] for cell in index().all("td") if "data-value" in cell]
    assert str(report["consistency"]["psnr"]) in values and report["created"] in values
    assert len(index().all("button")) == 8


def test_an_index_of_others_is_not_replaced(capsys):
    scan("in/a.nii")
    Path("out").mkdir()
    Path("out/index.html").write_text("<p>mine")
    assert upscale("in", "-o", "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("iconet: error: out/index.html: ") and "--overwrite" in line
    assert files_below("out") == ["index.html"]
    assert upscale("in", "-o", "out", "--overwrite") == 0
    assert links() == ["a.nii.report.html"]


def test_where_nothing_is_finished_there_is_no_index():
    Path("in").mkdir()
    Path("in/broken.nii").write_bytes(b"nothing")
    assert upscale("in", "-o", "out") == 2
    assert not Path("out").exists()


def test_a_damaged_report_does_not_hide_the_scan():
    scan("in/a.nii")
    scan("in/b.nii")
    assert upscale("in", "-o", "out") == 0
    Path("out/a.nii.report.json").write_text('{"input": 1, "output": {}}')
    Path("in/b.nii").unlink()
    assert upscale("in", "-o", "out") == 0
    assert len(links()) == 2 and index_module.UNREAD in index().text


def test_no_person_is_named_in_an_index_of_series():
    series("in/Secretname/a", modality="MR", uid="1.2.7", description="t1 Secretname")
    for path in Path("in/Secretname/a").iterdir():
        image = pydicom.dcmread(path)
        image.PatientName, image.PatientID, image.StudyDate = "Secretname", "ID77", "20190405"
        image.save_as(path)
    assert upscale("in", "-o", "out", "--all-series") == 0
    for path in Path("out").rglob("*.html"):
        # The folders below the input are those of the output: the user chose them.
        text = path.read_text().replace("Secretname/a", "")
        for said in ("ID77", "20190405", "2019-04-05"):
            assert said not in text


def test_pages_of_a_dataset_are_beside_its_people(monkeypatch):
    dataset()
    assert upscale("ds") == 0
    out = Path("ds/derivatives/iconet")
    pages = sorted(path.name for path in out.glob("*.html"))
    assert len(pages) == 4 and pages[0] == "index.html"
    assert [name.split("_")[0] for name in pages[1:]] == ["sub-01", "sub-01", "sub-02"]
    assert links(out) == pages[1:]
    for name in pages[1:]:
        stem = name.removesuffix(".html")
        assert list(out.rglob(f"{stem}.nii*")), "named as the image"
    assert (out / ".bidsignore").read_text() == "*.html\n"
    made = times(out)
    assert upscale("ds") == 0
    assert times(out) == made


@pytest.mark.skipif(
    shutil.which("bids-validator-deno") is None, reason="bids-validator-deno is not installed"
)
def test_the_validator_accepts_the_pages_of_a_derivative():
    dataset()
    assert upscale("ds") == 0
    command = ["bids-validator-deno", "--format", "json", "ds/derivatives/iconet"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    issues = [one for one in result["issues"]["issues"] if one.get("severity") == "error"]
    assert not [one for one in issues if str(one.get("location")).endswith(".html")]


def test_lines_of_a_bidsignore_stay():
    dataset()
    out = Path("ds/derivatives/iconet")
    assert upscale("ds") == 0
    (out / ".bidsignore").write_text("notes/")
    (out / "index.html").unlink()
    assert upscale("ds") == 0
    assert (out / ".bidsignore").read_text() == "notes/\n*.html\n"
