"""A study of several series in one call."""

import os
import shutil
import zipfile
from pathlib import Path

import pydicom
import pytest

from iconet import cli
from iconet.images import read
from iconet.images.dicom.derived_header import is_derived

from .studies import files_below, scan, series, times

pytestmark = pytest.mark.usefixtures("folder")


def upscale(*arguments):
    return cli.run(["upscale", *map(str, arguments), "--backend", "torch"])


def study(root="in"):
    series(f"{root}/a", "CT", "1.2.3", 2, description="Soft tissue")
    series(f"{root}/b", "MR", "1.2.4", 3, description="T1 mprage")
    series(f"{root}/b", "MR", "1.2.5", 12, description="T2 tse Secret")
    return Path(root)


def localizer(root="in"):
    for path in series(f"{root}/c", "MR", "1.2.6", 1, description="scout").iterdir():
        image = pydicom.dcmread(path)
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        image.save_as(path)


def folders(root="out"):
    return sorted({os.path.dirname(name) for name in files_below(root)} - {""})


@pytest.fixture(autouse=True)
def _separate_names(monkeypatch):
    """Series in one folder do not replace each other's files."""
    from ..images import slices

    real = slices.save

    def save(made, path):
        return real(made, path.with_name(f"{made.SeriesInstanceUID}-{path.name}"))

    monkeypatch.setattr(slices, "save", save)


def test_every_series_becomes_one_of_its_own_and_is_not_done_again(capfd):
    study()
    assert upscale("in", "-o", "out", "--all-series") == 0
    assert folders() == ["a/2-Soft-tissue", "b/12-T2-tse", "b/3-T1-mprage"]
    assert "3 scans: 3 upscaled" in capfd.readouterr().err
    for name in folders():
        assert read(f"out/{name}").array.shape == (40, 48, 3)
        assert is_derived(read(f"out/{name}").dicom[0])
    before = times("out")
    assert upscale("in", "-o", "out", "--all-series") == 0
    assert "3 scans: 3 finished before" in capfd.readouterr().err
    assert times("out") == before
    # A series that arrives later is no reason to do the others again.
    series("in/b", "MR", "1.2.7", 20)
    assert upscale("in", "-o", "out", "--all-series") == 0
    assert "4 scans: 1 upscaled, 3 finished before" in capfd.readouterr().err
    assert {**times("out"), **before} == {**times("out"), ".iconet.jsonl": before[".iconet.jsonl"]}


@pytest.mark.parametrize(
    ("only", "made"),
    [
        ("mr", ["b/12-T2-tse", "b/3-T1-mprage"]),
        ("CT", ["a/2-Soft-tissue"]),
        ("mprage", ["b/3-T1-mprage"]),
        ("T", ["a/2-Soft-tissue", "b/12-T2-tse", "b/3-T1-mprage"]),
    ],
)
def test_only_those_of_a_modality_or_description(capfd, only, made):
    study()
    assert upscale("in", "-o", "out", "--only", only) == 0
    assert folders() == made
    left = 3 - len(made)
    assert (f"{left} series left out: --only {only}" in capfd.readouterr().err) == bool(left)


def test_series_that_cannot_be_upscaled_are_named_with_the_reason(capfd):
    study()
    localizer()
    for path in list(Path("in/a").iterdir())[:1]:
        path.write_bytes(path.read_bytes()[:-500])
    assert upscale("in", "-o", "out", "--all-series") == 2
    said = capfd.readouterr().err
    scout = 'in/c, series 1 "scout" (MR, 20 x 24, 3 files): a localizer'
    assert f"iconet: error: {scout}" in said and f"failed: {scout}" in said
    print("SAID", said)
    assert 'in/a, series 2 "Soft tissue" (CT, 20 x 24, 3 files): in/a: 1 of its 3 files' in said
    assert "4 scans: 2 upscaled, 2 failed" in said
    assert folders() == ["b/12-T2-tse", "b/3-T1-mprage"]
    # Of another modality it was not asked for.
    assert upscale("in", "-o", "other", "--only", "t1") == 0


def test_what_iconet_made_of_a_study_is_left_out_and_counted(capfd):
    study()
    assert upscale("in", "-o", "made", "--all-series") == 0
    shutil.move("made/a", "in/made")
    shutil.rmtree("made")
    assert upscale("in", "-o", "out", "--all-series") == 0
    assert "1 series that iconet made left out; --again takes them too" in capfd.readouterr().err
    assert len(folders()) == 3
    assert upscale("in/made", "-o", "again", "--all-series") == 2
    assert "in/made: is a result of iconet already" in capfd.readouterr().err
    assert not Path("again").exists()
    assert upscale("in/made", "-o", "again", "--all-series", "--again") == 0


def test_series_of_one_number_and_description_get_folders_of_their_own():
    for uid in ("1.2.3", "1.2.4"):
        series("in", "CT", uid, 4, description="../x/ü")
    assert upscale("in", "-o", "out", "--all-series") == 0
    assert folders() == ["1.2.3", "1.2.4"]
    series("one", "CT", "1.2.3", 4, description="../x/ü")
    assert upscale("one", "-o", "single", "--all-series") == 0
    assert folders("single") == ["4-x-ü"]


def test_several_studies_and_archives():
    study("p1")
    with zipfile.ZipFile("p2.zip", "w") as archive:
        for path in study("p2").rglob("*.dcm"):
            archive.write(path)
    assert upscale("p1", "p2.zip", "-o", "out", "--only", "ct") == 0
    assert folders() == ["p1/a/2-Soft-tissue", "p2/2-Soft-tissue"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "--all-series"], "several DICOM series need a folder"),
        (["in", "-o", "a.nii.gz", "--all-series"], "names one file for several series"),
        (["in", "-o", "out", "--all-series", "--series", "2"], "--series names one"),
        (["in", "-o", "out", "--only", "pet"], "no series of modality or description pet"),
        (["in", "-o", "out", "--only", " "], "no series of modality"),
        (["a.nii", "-o", "out", "--all-series"], "a.nii: not DICOM"),
        (["none", "-o", "out", "--all-series"], "none: "),
    ],
)
def test_calls_that_cannot_be_meant(capfd, arguments, said):
    study()
    scan("a.nii")
    assert upscale(*arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line
    assert not Path("out").exists()
