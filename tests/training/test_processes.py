"""Several processes compute what one does, and the number may change in between."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from iconet.errors import InputError
from iconet.training import train
from iconet.training.processes import launch, lightning
from iconet.training.reporter import Reporter

from .small import make_recipe

STEPS, CUT = 4, 2


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    root = folder / "scans ü"
    root.mkdir()
    y, x = np.mgrid[:64, :64]
    disc = 100 * ((x - 32) ** 2 + (y - 32) ** 2 < 800) * (1 + 0.3 * np.sin(x))
    scan = nib.Nifti1Image(np.repeat(disc[..., None], 4, 2).astype(np.float32), np.eye(4))
    nib.save(scan, root / "scan.nii.gz")
    (root / "splits.csv").write_text(
        "dataset,subject,split,path,contrast,sharp_plane\n"
        "d,1,train,scan.nii.gz,T1w,axial\n"
        "d,2,validation,scan.nii.gz,T1w,axial\n"
    )
    content = make_recipe(steps=STEPS, batch=8, validate_every=100).model_dump(mode="json")
    content["data"]["root"] = str(root)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(recipe_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes in one piece."""
    output = tmp_path_factory.mktemp("whole")
    train(recipe_path, output=output, device="cpu")
    return output


def run_two(recipe_path: Path, output: Path, cut: int = 0) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("interrupted_train.py")
    arguments = ["train", str(recipe_path), "--devices", "2", "-o", str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(script), str(cut), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
    )


def state(output: Path) -> dict[str, object]:
    with safe_open(output / "checkpoint.safetensors", framework="pt") as file:
        return dict(json.loads(file.metadata()["state"]))


def assert_same_weights(one: Path, other: Path) -> None:
    for name in ("checkpoint.safetensors", "small.safetensors"):
        expected, got = load_file(one / name), load_file(other / name)
        assert expected.keys() == got.keys()
        for key in expected:
            torch.testing.assert_close(got[key], expected[key], atol=1e-5, rtol=1e-4)


def test_two_processes_stop_together_and_one_goes_on(
    recipe_path: Path, whole: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    stopped = run_two(recipe_path, cut, CUT)
    assert stopped.returncode == 130, stopped.stderr
    assert stopped.stdout.count(f"saved at step {CUT}") == 1
    assert stopped.stdout.count("train: 1 scans") == 1
    assert state(cut)["step"] == CUT
    train(recipe_path, output=cut, device="cpu")
    assert state(cut)["step"] == STEPS
    assert_same_weights(whole, cut)


def test_two_processes_grow_a_cascade_as_one_does(recipe_path: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(recipe_path.read_text(encoding="utf-8"))
    content["optimisation"] |= {"grow": 0.5, "patch": 64}
    content["scale"] = 4
    growing = tmp_path / "growing.yaml"
    growing.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    train(growing, output=tmp_path / "one", device="cpu")
    finished = run_two(growing, tmp_path / "two")
    assert finished.returncode == 0, finished.stderr
    assert_same_weights(tmp_path / "one", tmp_path / "two")


def test_one_process_stops_and_two_go_on(
    recipe_path: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut"
    report = Reporter.step

    def step(self: Reporter, number: int, *rest: object) -> None:
        report(self, number, *rest)  # type: ignore[arg-type]
        if number == CUT:
            os.kill(os.getpid(), 2)

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "step", step)
        with pytest.raises(KeyboardInterrupt):
            train(recipe_path, output=cut, device="cpu")
    assert state(cut)["step"] == CUT
    finished = run_two(recipe_path, cut)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == str(cut / "small.safetensors")
    assert finished.stdout.count("small.safetensors") == 1
    assert_same_weights(whole, cut)


@pytest.mark.parametrize(("device", "devices"), [("cpu", 0), ("cuda", 99)])
def test_devices_that_are_not_there_are_refused(device: str, devices: int) -> None:
    with pytest.raises(InputError, match=f"{devices} devices"):
        launch(device, devices, "32-true")


def test_the_complete_lightning_package_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = ModuleType("lightning.fabric")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.fabric", complete)
    assert lightning() is complete
