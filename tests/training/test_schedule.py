"""The learning rate in closed form, and durations."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.training.schedule import (
    finished_share,
    learning_rate,
    seconds,
    shares_of_depths,
    stages_in_training,
)


def test_warm_up_is_linear_and_reaches_the_peak() -> None:
    rates = [learning_rate(2e-3, step, 4, 0.0) for step in range(6)]
    assert rates == pytest.approx([2e-3 * part for part in (0.2, 0.4, 0.6, 0.8, 1.0, 1.0)])


@given(st.floats(0, 1))
def test_after_warm_up_it_is_half_a_cosine_to_a_thousandth(done: float) -> None:
    expected = 3e-3 * (0.001 + 0.999 * math.cos(math.pi * done / 2) ** 2)
    assert learning_rate(3e-3, 10**6, 100, done) == pytest.approx(expected, rel=1e-9)


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert learning_rate(1e-3, 0, 0, 0.0) == 1e-3


@given(st.integers(1, 3), st.floats(0, 0.99), st.floats(0, 1))
def test_a_cascade_has_its_first_stage_at_once_and_all_when_it_is_grown(
    stages: int, grow: float, done: float
) -> None:
    now = stages_in_training(stages, grow, done)
    assert 1 <= now <= stages
    assert stages_in_training(stages, grow, max(grow, done)) == stages
    if 0 < done < grow and stages > 1:
        assert (now - 1) / (stages - 1) <= done / grow <= now / (stages - 1)


@given(st.integers(1, 3), st.floats(0, 0.99))
def test_shares_are_those_of_a_run_in_which_a_cascade_grows(stages: int, grow: float) -> None:
    steps = 2000
    depths = [stages_in_training(stages, grow, step / steps) for step in range(steps)]
    for depth, share in shares_of_depths(stages, grow).items():
        assert depths.count(depth) / steps == pytest.approx(share, abs=2 / steps)


@pytest.mark.parametrize(
    ("step", "elapsed", "limit", "expected"),
    [
        (25, 1e9, None, 0.25),
        (25, 10, 100, 0.25),  # the steps are ahead of the time
        (25, 50, 100, 0.5),  # the time is ahead of the steps
        (100, 0, 100, 1.0),
        (1, 500, 100, 1.0),
    ],
)
def test_progress_is_by_steps_or_by_time_whichever_ends_sooner(
    step: int, elapsed: float, limit: float | None, expected: float
) -> None:
    assert finished_share(step, 100, elapsed, limit) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("45m", 2700), ("1.5h", 5400), ("1h30m", 5400), ("1h1m1s", 3661), ("0.5s", 0.5)],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "90", "m", "1d", "-5m", "1 h", "1e3s", "0s", "0h0m", "٣x"])
def test_what_is_no_duration_names_itself(text: str) -> None:
    with pytest.raises(InputError) as error:
        seconds(text)
    assert str(error.value).startswith(f"{text}: ")
    assert "90s, 45m or 1h30m" in str(error.value)
