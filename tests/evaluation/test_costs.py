"""Costs against what can be counted by hand."""

import pytest
import torch
from torch import nn

from iconet.evaluation import costs
from iconet.evaluation.benchmark_recipe import BenchmarkRecipe
from iconet.evaluation.costs import SIDE, Times, forward_costs, in_turns, step_times
from iconet.evaluation.runs import plan_run
from iconet.network import ICONet
from iconet.runtime.device import choose_compute

FP32 = choose_compute("cpu", "fp32")


class Convolution(nn.Module):
    """One 3 x 3 convolution to 8 channels, and attention between 4 of its pixels."""

    channels = 1

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 8, 3, padding=1)

    def forward(self, lr, intensity, samples):
        image = self.convolution(lr)
        few = image[:, :, 0, :4].mT[:, None].contiguous()  # 1 head, 4 pixels, 8 channels
        return torch.nn.functional.scaled_dot_product_attention(few, few, few)


def test_parameters_macs_and_memory_are_those_of_the_arithmetic():
    cost = forward_costs({"net": Convolution().eval()}, FP32)["net"]
    assert cost.parameters == 8 * 9 + 8
    pixels = SIDE * SIDE
    macs = pixels * 8 * 9 + 2 * 4 * 4 * 8
    assert abs(cost.gmacs * 1e9 - macs) < 5e4  # rounded to four digits after the point
    assert cost.cpu_mb >= round(pixels * 8 * 4 / 1e6, 2)
    assert cost.cpu_mb < pixels * 8 * 4 / 1e6 + 0.01
    assert 0 < cost.cpu_ms_low <= cost.cpu_ms <= cost.cpu_ms_high


def test_the_number_of_threads_is_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        forward_costs({"net": Convolution().eval()}, FP32)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_calls_take_turns_and_the_first_round_does_not_count():
    order = []
    times = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3)
    assert order == ["a", "b"] * 4
    assert times["a"].low <= times["a"].median <= times["a"].high


def test_a_training_step_of_either_task_can_be_timed(content):
    content["conditions"] = [
        {"name": "magnitude", "scale": 2},
        {"name": "samples", "scale": 4, "task": "joint", "known_samples": True, "test": ["joint"]},
    ]
    content["training"]["optimisation"] = {"batch": 4, "patch": 64}
    recipe = BenchmarkRecipe.model_validate(content)
    recipes = {
        c.name: plan_run(recipe, c, recipe.networks[0], 1, steps=1, learning_rate=1e-3).recipe
        for c in recipe.conditions
    }
    times = step_times(recipes, FP32)
    assert times.keys() == {"magnitude", "samples"}
    assert all(t.median > 0 for t in times.values())


@pytest.mark.parametrize(
    ("scale", "shares"),
    [(2, {None: 1.0}), (4, {1: 0.7, None: 0.3}), (8, {1: 0.35, 2: 0.35, None: 0.3})],
)
def test_a_step_of_a_growing_cascade_is_the_mean_over_the_run(scale, shares, content, monkeypatch):
    content["conditions"] = [{"name": "a", "scale": scale}]
    content["training"]["optimisation"] = {"batch": 2, "patch": 16 * scale, "grow": 0.7}
    recipe = BenchmarkRecipe.model_validate(content)
    run = plan_run(recipe, *recipe.conditions, recipe.networks[0], 1, steps=1, learning_rate=1e-3)
    depths = []

    def timed(calls):
        for call in calls.values():
            call()
        return {name: Times(2.0**i, 2.0**i, 2.0**i) for i, name in enumerate(calls)}

    forward = ICONet.forward

    def watched(self, *inputs, depth=None, **named):
        depths.append(depth)
        return forward(self, *inputs, depth=depth, **named)

    monkeypatch.setattr(costs, "in_turns", timed)
    monkeypatch.setattr(ICONet, "forward", watched)
    found = step_times({"net": run.recipe}, FP32)["net"]
    assert depths == list(shares)
    assert found.median == pytest.approx(sum(2**i * s for i, s in enumerate(shares.values())))
