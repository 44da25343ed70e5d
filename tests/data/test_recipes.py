"""The recipes of published data sets, started with the command that stands in their first line."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open

from iconet.cli import run
from iconet.data.layouts import find_scans
from iconet.recipes import FOLDER, names

from .published import anatomy, fastmri, nifti

TINY = [
    "network.size=tiny",
    "network.options={width: 8, exchanges: 1, rec_units: 1, sr_units: 1}",
    "optimisation.steps=2",
    "optimisation.batch=4",
    "optimisation.warm_up=0",
    "optimisation.precision=fp32",
    "optimisation.patch=64",
]
PEOPLE = 6


def image(path: Path) -> None:
    nifti(path, anatomy((72, 64, 3), seed=sum(path.name.encode())))


def ixi(root: Path) -> None:
    for number in range(PEOPLE):
        for contrast in ("T1", "T2", "PD", "MRA"):
            image(root / f"IXI-{contrast}/IXI{number:03}-Guys-0828-{contrast}.nii.gz")


def knees(root: Path) -> None:
    for number in range(PEOPLE):
        fastmri(
            root / f"singlecoil_train/{number}.h5", coils=None, encoded=(128, 80), recon=(64, 64)
        )
        fastmri(root / f"multicoil_train/{number}m.h5", encoded=(128, 80), recon=(64, 64))
    fastmri(root / "multicoil_val/0.h5", encoded=(128, 80), recon=(64, 64))


def hecktor(root: Path) -> None:
    for number in range(PEOPLE):
        for modality, offset in (("CT", -1000), ("PT", 0)):
            path = root / f"imagesTr/CHUM-{number:03}__{modality}.nii.gz"
            nifti(path, anatomy((72, 64, 3), seed=number) + offset, spacing=3.27)


def bids(root: Path) -> None:
    for number in range(PEOPLE):
        image(root / f"sub-{number}/ses-01/anat/sub-{number}_ses-01_T1w.nii.gz")


def folder(root: Path) -> None:
    for number in range(PEOPLE):
        image(root / f"scan {number}.nii.gz")


DATA: dict[str, Callable[[Path], None]] = {
    "ixi-x2": ixi,
    "ixi-x4": ixi,
    "fastmri-knee-x4": knees,
    "fastmri-knee-x4-joint": knees,
    "hecktor-pet-x2": hecktor,
    "hecktor-ct-x2": hecktor,
    "bids-x2": bids,
    "own-scans-x2": folder,
    "fine-tune-x2": folder,
}


def test_no_recipe_of_a_published_data_set_is_left_out() -> None:
    own = ("mri-", "ct-", "pet-")  # those of the shipped weights, from a table
    assert {name for name in names(benchmark=False) if not name.startswith(own)} == {*DATA}


@pytest.mark.parametrize("name", DATA)
def test_the_command_of_a_recipe_trains(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data of ü"
    DATA[name](root)
    data = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["data"]
    rows = find_scans(root, data["layout"], data.get("contrasts", ()))
    damaged = root / next(row["path"] for row in rows if row["split"] == "train")
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])

    first = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    shown = re.fullmatch(rf"# iconet (train {name} data\.root=)/path/to/\S+", first)
    assert shown
    monkeypatch.chdir(tmp_path)
    command = shlex.split(shown[1])
    command[-1] += str(root)
    # What starts from trained weights is as large as these.
    tiny = [change for change in TINY if "fine" not in name or not change.startswith("network")]
    assert run([*command, *tiny, "-o", "out"]) == 0
    with safe_open(tmp_path / "out" / f"{name}.safetensors", framework="pt") as file:
        # Weights that are no better than those it started from are not kept.
        assert file.metadata()["trained_steps"] in ({"0", "2"} if "fine" in name else {"2"})
    said = capfd.readouterr().out
    [left_out] = re.findall(r"^left out: (.*)$", said, re.M)
    assert left_out.startswith(f"{damaged}: ")
    for split, bad in (("train", 1), ("validation", 0)):
        count = sum(row["split"] == split for row in rows) - bad
        assert count > 0
        assert f"\n{split}: {count} scans, {bad} left out\n" in said
