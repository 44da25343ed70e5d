"""The loop: it learns, stops when told, and a cut run equals a whole one."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import iconet
from iconet.data import Volume
from iconet.errors import InputError
from iconet.training import fit, train
from iconet.training.progress import Reporter
from iconet.training.recipe import Recipe

Losses = dict[int, float]


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Losses:
    """The loss of every step that was reported."""
    seen: Losses = {}
    report = Reporter.step

    def step(self: Reporter, number: int, loss: torch.Tensor, *rest: float) -> None:
        seen[number] = float(loss.detach())
        report(self, number, loss, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Reporter, "step", step)
    return seen


def at_step(monkeypatch: pytest.MonkeyPatch, wanted: int, act: Callable[[], None]) -> None:
    """Do something right after a step, as if it happened during it."""
    report = Reporter.step

    def step(self: Reporter, number: int, *rest: object) -> None:
        report(self, number, *rest)  # type: ignore[arg-type]
        if number == wanted:
            act()

    monkeypatch.setattr(Reporter, "step", step)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def run(recipe: Recipe, volumes: list[Volume], output: Path, **options: float) -> Path:
    return fit(recipe, volumes, volumes, output=output, device="cpu", **options)


def assert_same_run(one: Path, other: Path) -> None:
    """Same network, moments, average, best validation and written weights, to the last bit."""
    for name in ("checkpoint.safetensors", "small.safetensors"):
        expected, got = load_file(one / name), load_file(other / name)
        assert expected.keys() == got.keys()
        different = [k for k in expected if not torch.equal(expected[k], got[k])]
        assert different == []
    first, second = metadata(one / "small.safetensors"), metadata(other / "small.safetensors")
    for key in ("validation", "trained_steps", "recipe", "config"):
        assert first[key] == second[key]
    first, second = (
        json.loads(metadata(folder / "checkpoint.safetensors")["state"]) for folder in (one, other)
    )
    assert first["step"] == second["step"]
    assert first["best"] == second["best"]


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.mark.parametrize("cut", [3, 5, 11], ids=lambda step: f"after-{step}-steps")
def test_a_run_cut_in_two_equals_the_run_in_one_piece(
    cut: int,
    recipe: Recipe,
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    losses: Losses,
) -> None:
    run(recipe, volumes, tmp_path / "whole")
    whole = dict(losses)
    losses.clear()
    with monkeypatch.context() as patch:
        at_step(patch, cut, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, volumes, tmp_path / "cut")
    assert sorted(losses) == list(range(1, cut + 1))
    torch.manual_seed(99)  # another process has other random numbers
    run(recipe, volumes, tmp_path / "cut")
    assert losses == whole
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_run_that_was_killed_goes_on_from_its_last_validation(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        raise RuntimeError("power is off")

    run(recipe, volumes, tmp_path / "whole")
    with monkeypatch.context() as patch:
        at_step(patch, 8, die)
        with pytest.raises(RuntimeError, match="power is off"):
            run(recipe, volumes, tmp_path / "cut")
    state = json.loads(metadata(tmp_path / "cut/checkpoint.safetensors")["state"])
    assert state["step"] == 6
    run(recipe, volumes, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
