"""What a person sees of a run: lines where there is no terminal, and curves."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from iconet.data import Volume
from iconet.errors import InputError
from iconet.training import reporter
from iconet.training.recipe import Recipe
from iconet.training.reporter import LINE_EVERY, LOG_EVERY, Reporter

from .small import make_recipe, run


def test_an_output_that_cannot_be_a_folder_is_said_in_one_line(
    recipe: Recipe, volumes: list[Volume], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file/out: cannot be written to") as error:
        run(recipe, volumes, tmp_path / "file/out")
    assert "\n" not in str(error.value)


def test_a_run_that_diverges_stops_and_says_so(volumes: list[Volume], tmp_path: Path) -> None:
    recipe = make_recipe(steps=60, learning_rate=1e30, validate_every=60)
    with pytest.raises(InputError, match="the loss is not a number at step 20; lower"):
        run(recipe, volumes, tmp_path)
    assert not (tmp_path / "small.safetensors").exists()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The seconds that the reporter sees."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(reporter, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_line_comes_now_and_then_with_the_time_left(
    tmp_path: Path, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter(tmp_path) as shown:
        for step in range(1, 3 * LOG_EVERY + 1):
            clock.now = step
            loss = torch.tensor(1.0 if step <= LOG_EVERY else 0.5)
            shown.step(step, loss, 1e-3, step / 1200, 8.0, 0.25)
    (line,) = capsys.readouterr().out.splitlines()
    assert LOG_EVERY < LINE_EVERY < 2 * LOG_EVERY  # so that it is the second of three
    # The loss is averaged over steps; 20 s for a sixtieth of the run leave 1160 s.
    assert line == ("step 40  loss 0.95000  8.0 patches/s, waiting 25.0%  19 min left")


def test_curves_are_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Reporter(tmp_path) as shown:
        shown.step(LOG_EVERY - 1, torch.tensor(7.0), 1e-3, 0.1, 8.0, 0.0)
        shown.step(LOG_EVERY, torch.tensor(0.5), 2e-3, 0.2, 8.0, 0.0)
        shown.validation(LOG_EVERY, {"mean": 31.25})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for name, value in [("loss/train", 0.5), ("learning_rate", 2e-3), ("validation/mean", 31.25)]:
        ((step, found),) = [(event.step, event.value) for event in events.Scalars(name)]
        assert step == LOG_EVERY and found == pytest.approx(value)


def test_validation_and_an_interruption_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter(tmp_path) as shown:
        shown.validation(3, {"mean": 31.25, "a": 30.0})
        shown.interrupted(4)
    assert capsys.readouterr().out.splitlines() == [
        "validation at step 3: mean 31.250 dB  a 30.000 dB",
        "saved at step 4; rerun the command to resume",
    ]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_noticed_when_it_is_read(tmp_path: Path, loss: float) -> None:
    with Reporter(tmp_path) as shown:
        shown.step(LOG_EVERY + 1, torch.tensor(loss), 1e-3, 0.1, 8.0, 0.0)
        with pytest.raises(InputError, match="the loss is not a number at step 40; lower"):
            shown.step(2 * LOG_EVERY, torch.tensor(loss), 1e-3, 0.1, 8.0, 0.0)
