"""From measured seconds to steps: kept once measured, and whole when a network joins."""

import pytest
import torch

from iconet.evaluation import budget
from iconet.evaluation.benchmark_recipe import BenchmarkRecipe
from iconet.evaluation.budget import Budget
from iconet.evaluation.costs import Times
from iconet.runtime.device import choose_compute

from .conftest import NARROW

WIDER = {"size": "tiny", "options": {**NARROW["options"], "width": 16}}


@pytest.fixture
def clock(monkeypatch):
    """Seconds of a step by the network's width; ``pace`` times as long."""
    state = {"pace": 1.0, "measured": []}

    def step_times(recipes, compute):
        widths = [recipe.network.options["width"] for recipe in recipes.values()]
        state["measured"].append(sorted(widths))
        return {
            name: Times(*[state["pace"] * recipe.network.options["width"] / 100] * 3)
            for name, recipe in recipes.items()
        }

    monkeypatch.setattr(budget, "step_times", step_times)
    monkeypatch.setattr(budget, "forward_costs", lambda networks, compute: pytest.skip("untested"))
    return state


def budget_of(content, tmp_path, **changes):
    content = {**content, **changes}
    if "budget" in changes:
        content.pop("steps")
    (tmp_path / "out").mkdir(exist_ok=True)
    recipe = BenchmarkRecipe.model_validate(content)
    found = Budget(recipe, choose_compute("cpu", "fp32"))
    return found, recipe


def steps_of(found, recipe):
    return {n.name: found.steps(recipe.conditions[0], n) for n in recipe.networks}


def test_the_same_seconds_buy_a_slower_network_fewer_steps(content, tmp_path, clock):
    networks = [{"name": "narrow", "network": NARROW}, {"name": "wide", "network": WIDER}]
    found, recipe = budget_of(content, tmp_path, networks=networks, budget="1m")
    found._measure_steps()
    assert steps_of(found, recipe) == {"narrow": 750, "wide": 375}
    assert clock["measured"] == [[8, 16]]

    clock["pace"] = 3.0  # a busier day: what was measured stays
    found._measure_steps()
    assert steps_of(found, recipe) == {"narrow": 750, "wide": 375}
    assert clock["measured"] == [[8, 16]]


def test_a_network_that_joins_on_a_busier_day_gets_what_it_would_have_got(content, tmp_path, clock):
    found, _ = budget_of(
        content, tmp_path, networks=[{"name": "narrow", "network": NARROW}], budget="1m"
    )
    found._measure_steps()
    clock["pace"] = 3.0
    networks = [{"name": "narrow", "network": NARROW}, {"name": "wide", "network": WIDER}]
    found, recipe = budget_of(content, tmp_path, networks=networks, budget="1m")
    found._measure_steps()
    assert clock["measured"] == [[8], [8, 16]]
    assert steps_of(found, recipe) == {"narrow": 750, "wide": 375}


def test_networks_that_differ_in_their_training_data_get_the_same_steps(content, tmp_path, clock):
    networks = [
        {"name": "a", "network": NARROW, "training": {"degradation": {"kspace": 1.0}}},
        {"name": "b", "network": NARROW, "training": {"degradation": {"kspace": 0.1}}},
    ]
    found, recipe = budget_of(content, tmp_path, networks=networks, budget="2m")
    found._measure_steps()
    assert clock["measured"] == [[8]]
    assert steps_of(found, recipe) == {"a": 1500, "b": 1500}


def test_a_condition_may_have_a_budget_of_its_own(content, tmp_path, clock):
    networks = [{"name": "narrow", "network": NARROW}]
    short = content["conditions"][0]
    conditions = [short, {**short, "name": "long", "budget": "3m"}]
    found, recipe = budget_of(
        content, tmp_path, networks=networks, conditions=conditions, budget="1m"
    )
    found._measure_steps()
    assert [found.steps(c, recipe.networks[0]) for c in recipe.conditions] == [750, 2250]
    assert clock["measured"] == [[8]]


def test_without_a_budget_all_have_the_stated_steps(content, tmp_path):
    found, recipe = budget_of(content, tmp_path)
    assert steps_of(found, recipe) == {"iconet": 3, "peer": 3}


def test_a_redesigned_network_of_the_same_name_is_measured_anew(
    content, tmp_path, clock, monkeypatch
):
    found, recipe = budget_of(content, tmp_path, budget="1m")
    found._measure_steps()
    with monkeypatch.context() as patch:
        patch.setattr(budget, "build", lambda *description: torch.nn.Linear(3, 3))
        budget._shapes.cache_clear()
        found._measure_steps()
        assert len(clock["measured"]) == 2
    budget._shapes.cache_clear()
    found._measure_steps()
    assert len(clock["measured"]) == 2
    assert steps_of(found, recipe)
