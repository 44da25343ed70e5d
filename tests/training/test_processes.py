"""Several processes compute what one does, and the number may change in between."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
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


def killed(
    recipe_path: Path, output: Path, cut: int, number: int, *, rank: int = 0, **variables: object
) -> subprocess.Popen[str]:
    """One process of a run whose process of that rank gets a signal in a step."""
    script = Path(__file__).with_name("killed_train.py")
    arguments = [
        str(cut),
        str(int(number)),
        str(rank),
        "train",
        str(recipe_path),
        "-o",
        str(output),
    ]
    more = {name: str(value) for name, value in variables.items()}
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **more},
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def two_nodes(
    launcher: str, recipe_path: Path, output: Path, cut: int = 0, **more: object
) -> list[tuple[int, str, str]]:
    """A run on two nodes, whose second one is lost in a step: exit codes and what each printed."""
    port = free_port()
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **more}
    started = [
        killed(
            recipe_path, output, cut, signal.SIGKILL, rank=1, **VARIABLES[launcher](node), **shared
        )
        for node in (0, 1)
    ]
    printed = [process.communicate(timeout=600) for process in started]
    return [(process.returncode, *said) for process, said in zip(started, printed, strict=True)]


# What the launchers tell the process of a node, both of one process a node.
VARIABLES: dict[str, Callable[[int], dict[str, object]]] = {
    "torchrun": lambda node: {
        "TORCHELASTIC_RUN_ID": "none",
        "WORLD_SIZE": 2,
        "LOCAL_WORLD_SIZE": 1,
        "RANK": node,
        "LOCAL_RANK": 0,
        "GROUP_RANK": node,
    },
    "srun": lambda node: {
        "SLURM_STEP_NUM_TASKS": 2,
        "SLURM_STEP_NUM_NODES": 2,
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_JOB_ID": 4711,
        "SLURM_PROCID": node,
        "SLURM_LOCALID": 0,
        "SLURM_NODEID": node,
    },
}


def test_a_run_on_two_nodes_goes_on_after_one_is_lost(
    recipe_path: Path, whole: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    first, second = two_nodes("torchrun", recipe_path, cut, CUT + 1)
    assert second[0] == -signal.SIGKILL
    assert first[0] == 1
    assert f"saved at step {CUT}" in first[1]
    [line] = [line for line in first[2].splitlines() if line.startswith("iconet: error:")]
    assert "another process of the run is gone" in line
    assert line.endswith("rerun the command to resume")
    assert "Traceback" not in first[2]
    assert state(cut)["step"] == CUT
    first, second = two_nodes("srun", recipe_path, cut)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert f"goes on at step {CUT} of {STEPS}" in first[1]
    assert first[1].splitlines()[-1] == str(cut / "small.safetensors")
    assert second[1] == ""
    assert_same_weights(whole, cut)


def test_nodes_that_see_other_checkpoints_do_not_begin(
    recipe_path: Path, whole: Path, tmp_path: Path
) -> None:
    port = free_port()
    outputs = [tmp_path / "first", tmp_path / "second"]
    shutil.copytree(whole, outputs[0])
    started = [
        killed(
            *(recipe_path, outputs[node], 0, signal.SIGKILL),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port,
            **VARIABLES["srun"](node),
        )
        for node in (0, 1)
    ]
    (_, said), (_, silent) = (process.communicate(timeout=600) for process in started)
    assert started[0].returncode == 2, said
    [line] = [line for line in said.splitlines() if line.startswith("iconet: error:")]
    assert "process 1 on" in line and "sees another checkpoint than the first" in line
    assert "iconet: error" not in silent


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)], ids=["kill", "term"]
)
def test_a_process_that_gets_a_signal_loses_no_more_than_since_it_was_saved(
    number: int, code: int, recipe_path: Path, tmp_path: Path
) -> None:
    # To the last bit needs as many threads, which other tests of this process may have changed.
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    killed(recipe_path, whole, 0, number).communicate(timeout=600)
    process = killed(recipe_path, cut, CUT + 1, number)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == code
    # The step at hand is finished where there is time for it.
    assert state(cut)["step"] == CUT + (number == signal.SIGTERM)
    assert ("rerun the command to resume" in said) == (number == signal.SIGTERM)
    process = killed(recipe_path, cut, 0, number)
    said, wrong = process.communicate(timeout=600)
    assert process.returncode == 0, wrong
    assert "goes on at step" in said
    for name in ("checkpoint.safetensors", "small.safetensors"):
        expected, got = load_file(whole / name), load_file(cut / name)
        assert [key for key in expected if not torch.equal(expected[key], got[key])] == []


@pytest.mark.parametrize(("device", "devices"), [("cpu", 0), ("cuda", 99)])
def test_devices_that_are_not_there_are_refused(device: str, devices: int) -> None:
    with pytest.raises(InputError, match=f"{devices} devices"):
        launch(device, devices, "32-true", nodes=None)


def test_several_nodes_need_a_launcher() -> None:
    with pytest.raises(InputError, match="start the command on every node by srun or torchrun"):
        launch("cpu", 1, "32-true", nodes=2)


@pytest.mark.parametrize("launcher", VARIABLES)
@pytest.mark.parametrize("asked", [{"devices": 2}, {"nodes": 3}], ids=["devices", "nodes"])
def test_what_the_launcher_started_is_not_asked_for_otherwise(
    launcher: str, asked: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {**os.environ, **{k: str(v) for k, v in VARIABLES[launcher](0).items()}}
    monkeypatch.setattr(os, "environ", changed)
    message = f"{launcher} started 1 process.* on each of 2 node"
    with pytest.raises(InputError, match=message):
        launch("cpu", asked.get("devices"), "32-true", nodes=asked.get("nodes"))


def test_srun_with_more_processes_on_one_node_than_on_another_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "2")
    with pytest.raises(InputError, match="give --ntasks-per-node"):
        launch("cpu", None, "32-true", nodes=None)


def test_the_complete_lightning_package_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = ModuleType("lightning.fabric")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.setitem(sys.modules, "lightning", ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.fabric", complete)
    assert lightning() is complete
