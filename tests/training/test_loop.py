"""The loop: it learns, stops when told, and a cut run equals a whole one."""

import itertools
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import iconet
from iconet.data import Volume
from iconet.data.selection import Data
from iconet.errors import InputError
from iconet.training import fit, loop
from iconet.training.recipe import Degradation, Network, Recipe
from iconet.training.reporter import Reporter
from iconet.training.validation import Validation

from .small import NARROW, make_recipe, metadata, run

Losses = dict[int, float]


def watch(monkeypatch: pytest.MonkeyPatch) -> Losses:
    """Gets the loss of every step that is reported from now on."""
    seen: Losses = {}
    report = Reporter.step

    def step(self: Reporter, number: int, loss: torch.Tensor, *rest: float) -> None:
        seen[number] = float(loss.detach())
        report(self, number, loss, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Reporter, "step", step)
    return seen


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Losses:
    """The loss of every step that was reported."""
    return watch(monkeypatch)


@pytest.fixture(scope="module")
def whole(
    recipe: Recipe, volumes: list[Volume], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Losses]:
    """A run in one piece: its folder and the loss of every step."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        losses = watch(patch)
        run(recipe, volumes, folder)
    return folder, losses


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


@pytest.mark.parametrize("cut", [3, 5, 11], ids=lambda step: f"after-{step}-steps")
def test_a_run_cut_in_two_equals_the_run_in_one_piece(
    cut: int,
    recipe: Recipe,
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    losses: Losses,
    whole: tuple[Path, Losses],
) -> None:
    with monkeypatch.context() as patch:
        at_step(patch, cut, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, volumes, tmp_path / "cut")
    assert sorted(losses) == list(range(1, cut + 1))
    torch.manual_seed(99)  # another process has other random numbers
    run(recipe, volumes, tmp_path / "cut")
    assert losses == whole[1]
    assert_same_run(whole[0], tmp_path / "cut")


def test_a_run_that_was_killed_goes_on_from_its_last_validation(
    recipe: Recipe,
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: tuple[Path, Losses],
) -> None:
    def die() -> None:
        raise RuntimeError("power is off")

    with monkeypatch.context() as patch:
        at_step(patch, 8, die)
        with pytest.raises(RuntimeError, match="power is off"):
            run(recipe, volumes, tmp_path / "cut")
    state = json.loads(metadata(tmp_path / "cut/checkpoint.safetensors")["state"])
    assert state["step"] == 6
    run(recipe, volumes, tmp_path / "cut")
    assert_same_run(whole[0], tmp_path / "cut")


def test_sigterm_saves_the_step_and_then_ends_the_process_as_usual(
    recipe: Recipe,
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    whole: tuple[Path, Losses],
) -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with monkeypatch.context() as patch:
            at_step(patch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(SystemExit) as ended:
                run(recipe, volumes, tmp_path / "cut")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert "saved at step 5; rerun the command to resume" in capsys.readouterr().out
    run(recipe, volumes, tmp_path / "cut")
    said = capsys.readouterr().out
    assert re.search(r"goes on at step 5 of 12, after \d+\.\d min of training; best so far", said)
    assert_same_run(whole[0], tmp_path / "cut")


def test_a_run_is_saved_between_validations_too(
    recipe: Recipe,
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: tuple[Path, Losses],
) -> None:
    def die() -> None:
        raise RuntimeError("power is off")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "SAVE_EVERY", 0.0)
        at_step(patch, 8, die)
        with pytest.raises(RuntimeError, match="power is off"):
            run(recipe, volumes, tmp_path / "cut")
    assert json.loads(metadata(tmp_path / "cut/checkpoint.safetensors")["state"])["step"] == 7
    run(recipe, volumes, tmp_path / "cut")
    assert_same_run(whole[0], tmp_path / "cut")


def test_weights_that_are_no_numbers_do_not_replace_a_checkpoint(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(self: loop.Loop, *rest: object) -> torch.Tensor:
        loss = step(self, *rest)  # type: ignore[arg-type]
        if self.state.step == 5:
            self.newest[0].data.fill_(torch.nan)
        return loss

    step = loop.Loop._step
    monkeypatch.setattr(loop.Loop, "_step", explode)
    with pytest.raises(InputError, match=r"not numbers at step 6; lower optimisation"):
        run(recipe, volumes, tmp_path)
    assert json.loads(metadata(tmp_path / "checkpoint.safetensors")["state"])["step"] == 3


def test_a_run_that_is_over_says_so(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, volumes, tmp_path)
    assert "goes on" not in capsys.readouterr().out
    run(recipe, volumes, tmp_path)
    said = capsys.readouterr().out
    assert "finished at step 12; ask for more optimisation.steps to go on" in said


@pytest.fixture(scope="module")
def start(
    recipe: Recipe, volumes: list[Volume], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recipe]:
    """Trained weights, and a recipe that starts from them."""
    path = run(recipe, volumes, tmp_path_factory.mktemp("start"))
    return path, recipe.model_copy(update={"start_from": str(path)})


def test_fine_tuning_never_writes_weights_worse_than_its_start(
    start: tuple[Path, Recipe],
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = iter([30.0, 29.0, 28.0, 29.5, 29.9])
    monkeypatch.setattr(Validation, "__call__", lambda *_: {"mean": next(answers)})
    path = run(start[1], volumes, tmp_path)
    given, kept = load_file(start[0]), load_file(path)
    assert all(torch.equal(given[name], kept[name]) for name in given)
    assert metadata(path)["trained_steps"] == "0"
    said = capsys.readouterr().out
    assert "validation at step 0: mean 30.000 dB" in said
    assert "no step was better than the start on validation scans, 30.000 dB" in said


def test_fine_tuning_keeps_what_became_better_and_says_by_how_much(
    start: tuple[Path, Recipe],
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = iter([30.0, 29.0, 30.5, 30.25, 30.0])
    monkeypatch.setattr(Validation, "__call__", lambda *_: {"mean": next(answers)})
    path = run(start[1], volumes, tmp_path)
    assert metadata(path)["trained_steps"] == "6"
    assert "kept step 6: 30.500 dB on validation scans, +0.500 dB" in capsys.readouterr().out


def test_fine_tuning_that_was_cut_equals_the_whole_one(
    start: tuple[Path, Recipe],
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(start[1], volumes, tmp_path / "whole")
    with monkeypatch.context() as patch:
        at_step(patch, 2, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(start[1], volumes, tmp_path / "cut")
    run(start[1], volumes, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_fine_tuning_without_validation_scans_is_refused(
    start: tuple[Path, Recipe], volumes: list[Volume], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no validation scan could be used"):
        fit(start[1], volumes, [], output=tmp_path, device="cpu")


class Drawing(nn.Module):
    """Has layers that draw random numbers and layers that keep statistics."""

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels * scale**2, 3, padding=1),
            nn.BatchNorm2d(channels * scale**2),
            nn.Dropout(0.2),
            nn.PixelShuffle(scale),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.body(image)


def test_layers_that_draw_or_count_go_on_as_in_one_piece(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("drawing_networks")
    module.Drawing = Drawing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    recipe = recipe.model_copy(update={"network": Network(architecture="drawing_networks:Drawing")})
    path = run(recipe, volumes, tmp_path / "whole")
    with monkeypatch.context() as patch:
        at_step(patch, 5, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, volumes, tmp_path / "cut")
    torch.rand(99)  # another process has other random numbers
    run(recipe, volumes, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    # The statistics go with the averaged weights, and are those of as many steps.
    counted = load_file(path)["architecture.body.1.num_batches_tracked"]
    assert str(int(counted)) == metadata(path)["trained_steps"]


def test_a_second_ctrl_c_does_not_wait(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice() -> None:
        press_ctrl_c()
        press_ctrl_c()

    before = signal.getsignal(signal.SIGINT)
    at_step(monkeypatch, 2, twice)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, volumes, tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, recipe, volumes, tmp_path).result().is_file()


def test_a_finished_run_stays_as_it_is(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, losses: Losses
) -> None:
    first = load_file(run(recipe, volumes, tmp_path))
    losses.clear()
    second = load_file(run(recipe, volumes, tmp_path))
    assert losses == {}
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_finished_run_goes_on_when_more_steps_are_asked_for(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, losses: Losses
) -> None:
    steps = recipe.optimisation.steps
    run(recipe, volumes, tmp_path)
    losses.clear()
    run(make_recipe(steps=steps + 3), volumes, tmp_path)
    assert list(losses) == [steps + 1, steps + 2, steps + 3]
    assert json.loads(metadata(tmp_path / "checkpoint.safetensors")["state"])["extended"] == [steps]
    losses.clear()
    run(make_recipe(steps=steps + 3), volumes, tmp_path)
    assert losses == {}


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_the_loss_falls_on_a_slice_seen_again_and_again(
    optimiser: str, volumes: list[Volume], tmp_path: Path, losses: Losses
) -> None:
    recipe = make_recipe(steps=60, optimiser=optimiser, learning_rate=5e-3, validate_every=60)
    plain = {"kspace": 1, "windowed": 0, "blurred": 0, "averaged": 0, "noise_probability": 0}
    recipe = recipe.model_copy(update={"degradation": Degradation(**plain)})
    run(recipe, volumes[:1], tmp_path)
    first, last = (
        np.mean([losses[step] for step in steps]) for steps in (range(1, 11), range(51, 61))
    )
    assert last < 0.7 * first


def test_written_weights_are_loaded_by_the_zoo_and_say_what_they_are(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    path = run(recipe, volumes, tmp_path / "a folder with ü")
    model = iconet.load(path)
    assert model.config == iconet.ICONet(2, **NARROW).config
    assert model.metadata["purpose"] == "tests"
    assert json.loads(model.metadata["recipe"])["optimisation"]["steps"] == 12
    assert model.metadata["processes"] == "1" and model.metadata["device"]
    best = json.loads(model.metadata["validation"])
    assert best["step"] == int(model.metadata["trained_steps"])
    # The score is that of the weights in this very file.
    scores = Validation(volumes, 2, torch.device("cpu"))(model)
    assert scores["mean"] == pytest.approx(best["mean"], abs=1e-4)


def test_the_best_validation_is_kept_not_the_last(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([20.0, 24.0, 23.0, 22.0])
    monkeypatch.setattr(Validation, "__call__", lambda *_: {"mean": next(answers)})
    path = run(recipe, volumes, tmp_path)
    assert metadata(path)["trained_steps"] == "6"
    kept, last = load_file(path), load_file(tmp_path / "checkpoint.safetensors")
    assert any(not torch.equal(kept[name], last[f"average.{name}"]) for name in kept)


def test_without_validation_scans_the_newest_weights_are_kept(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    path = fit(recipe, volumes, [], output=tmp_path, device="cpu")
    assert metadata(path)["trained_steps"] == "12"


def test_max_time_ends_the_run_with_its_schedule_finished(
    volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(0.0, 2.5)  # four looks a step, each 2.5 s after the one before
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    rates = []
    report = Reporter.step

    def step(self: Reporter, number: int, loss: torch.Tensor, rate: float, *rest: float) -> None:
        rates.append(rate)
        report(self, number, loss, rate, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Reporter, "step", step)
    recipe = make_recipe(steps=100_000, warm_up=0, validate_every=50_000, learning_rate=1e-3)
    run(recipe, volumes, tmp_path, max_time=105.0)
    assert len(rates) == 11  # 2.5 s, 12.5 s, ... are before 105 s
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.03e-3
    assert (tmp_path / "small.safetensors").is_file()


def test_bf16_trains_float32_weights(volumes: list[Volume], tmp_path: Path, losses: Losses) -> None:
    path = run(make_recipe(steps=3, precision="bf16"), volumes, tmp_path)
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float32}
    bf16 = dict(losses)
    losses.clear()
    run(make_recipe(steps=3), volumes, tmp_path / "fp32")
    assert all(np.isfinite(list(bf16.values())))
    assert bf16 != losses
    assert list(bf16.values()) == pytest.approx(list(losses.values()), rel=0.05)


def test_moved_data_is_still_the_same_recipe(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, losses: Losses
) -> None:
    run(recipe, volumes, tmp_path)
    losses.clear()
    moved = recipe.model_copy(update={"data": Data(root=Path("elsewhere"))})
    run(moved, volumes, tmp_path)
    assert losses == {}


def test_speed_and_waiting_are_measured_and_written(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four looks at the clock in a step: two for the loop, a second apart, the batch between them.
    monkeypatch.setattr(loop, "spare_cores", lambda *_: 0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=itertools.count(0.0).__next__))
    said = metadata(run(recipe, volumes, tmp_path))
    # A step is from its second look to its fourth, 2 s; its batch there at the third.
    assert said["patches_per_second"] == "2.0"
    assert said["waiting"] == "0.500"


@pytest.fixture(scope="module")
def wide(volumes: list[Volume]) -> list[Volume]:
    """The same with four times as many pixels along each side."""
    return [
        Volume(v.name, v.dataset, v.slices.repeat_interleave(4, 1).repeat_interleave(4, 2))
        for v in volumes
    ]


def growing(scale: int = 4, **optimisation: object) -> Recipe:
    """A cascade whose first stage is trained alone for half of twelve steps."""
    content = make_recipe(patch=16 * scale, grow=0.5, **optimisation).model_dump()
    return Recipe.model_validate({**content, "scale": scale})


def weights_after(
    steps: int, recipe: Recipe, wide: list[Volume], output: Path, part: str = "model"
) -> dict[str, torch.Tensor]:
    """The network's weights where a run is stopped."""
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, steps, press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, wide, output)
    saved = load_file(output / "checkpoint.safetensors")
    start = f"{part}."
    return {name.removeprefix(start): w for name, w in saved.items() if name.startswith(start)}


def of_stage(number: int, weights: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [w for name, w in sorted(weights.items()) if name.startswith(f"stages.{number}.")]


@pytest.mark.parametrize("part", ["model", "average"])
def test_a_growing_cascade_trains_its_first_stage_alone_then_all(
    part: str, wide: list[Volume], tmp_path: Path
) -> None:
    one, six, seven = (
        weights_after(steps, growing(), wide, tmp_path / str(steps), part) for steps in (1, 6, 7)
    )
    assert all(map(torch.equal, of_stage(1, one), of_stage(1, six)))  # nothing has touched it
    first, second = "stages.0.head_sr.weight", "stages.1.head_sr.weight"
    assert not torch.equal(one[first], six[first])
    # It begins as the first stage; the seventh step moves both a little.
    assert not torch.equal(seven[second], six[first])
    assert (seven[second] - six[first]).norm() < 0.1 * (six[second] - six[first]).norm()


def test_the_stages_of_8x_come_one_by_one(wide: list[Volume], tmp_path: Path) -> None:
    one, three, six, seven = (
        weights_after(steps, growing(8), wide, tmp_path / str(steps)) for steps in (1, 3, 6, 7)
    )
    first, second, third = (f"stages.{number}.head_sr.weight" for number in range(3))
    assert torch.equal(one[second], three[second])
    assert not torch.equal(six[second], three[first])
    assert torch.equal(six[third], three[first])  # waits, as what the second began as
    assert not torch.equal(seven[third], six[second])


@pytest.fixture(scope="module")
def grown(wide: list[Volume], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a growing run in one piece."""
    folder = tmp_path_factory.mktemp("grown")
    run(growing(), wide, folder)
    return folder


@pytest.mark.parametrize("cut", [4, 6, 9], ids=lambda step: f"after-{step}-steps")
def test_a_growing_run_cut_in_two_equals_the_run_in_one_piece(
    cut: int, wide: list[Volume], tmp_path: Path, grown: Path
) -> None:
    weights_after(cut, growing(), wide, tmp_path / "cut")
    run(growing(), wide, tmp_path / "cut")
    assert_same_run(grown, tmp_path / "cut")


def test_a_grown_cascade_keeps_its_stages_when_more_steps_are_asked_for(
    wide: list[Volume], tmp_path: Path
) -> None:
    run(growing(), wide, tmp_path)
    before = load_file(tmp_path / "checkpoint.safetensors")["model.stages.1.head_sr.weight"]
    # The next step is at 0.3 of the longer run, where a new one would have but a stage.
    after = weights_after(13, growing(steps=40), wide, tmp_path)["stages.1.head_sr.weight"]
    assert 0 < (after - before).norm() < 0.1 * before.norm()
