"""The benchmark recipes of the repository are ones, and every run in them can be planned."""

from pathlib import Path

import pytest

from iconet import recipes
from iconet.evaluation.benchmark_recipe import BenchmarkRecipe
from iconet.evaluation.runs import plan_run
from iconet.recipe_files import read_recipe

RECIPES = recipes.names(benchmark=True)


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_plans_different_runs_under_equal_terms(name):
    recipe = read_recipe(Path(name), [], BenchmarkRecipe)
    runs = [
        plan_run(recipe, condition, network, seed, steps=10, learning_rate=0.001)
        for condition in recipe.conditions
        for network in recipe.networks
        for seed in network.seeds
        if recipe.takes_part(network, condition)
    ]
    assert len({run.folder for run in runs}) == len(runs)
    for condition in recipe.conditions:
        terms = {
            run.recipe.optimisation.model_copy(update={"grow": 0}).model_dump_json()
            for run in runs
            if run.condition.name == condition.name
        }
        assert len(terms) <= 1
    for run in runs:
        # Growth is a cascade's own way through the steps that the same time has room for.
        assert not run.recipe.optimisation.grow or run.recipe.network.architecture[:6] == "iconet"
        assert run.recipe.task.kind == run.condition.task
        assert run.recipe.task.known_samples == run.condition.known_samples


def test_what_a_network_replaces_counts_over_its_condition_s_and_the_common(content):
    content["training"]["degradation"] = {"kspace": 0.5, "blurred": 0.3}
    content["conditions"][0]["training"] = {"degradation": {"kspace": 0.7}}
    content["networks"][0]["training"] = {"degradation": {"blurred": 0.1}}
    recipe = BenchmarkRecipe.model_validate(content)
    run = plan_run(recipe, recipe.conditions[0], recipe.networks[0], 7, steps=9, learning_rate=0.01)
    assert (run.recipe.degradation.kspace, run.recipe.degradation.blurred) == (0.7, 0.1)
    assert (run.recipe.seed, run.recipe.optimisation.steps) == (7, 9)
    assert run.recipe.optimisation.learning_rate == 0.01
    assert run.recipe.optimisation.precision == "fp32"


def test_the_place_of_the_data_makes_no_other_run(content):
    first = BenchmarkRecipe.model_validate(content)
    content["data"]["root"] = "elsewhere"
    second = BenchmarkRecipe.model_validate(content)
    a, b = (
        plan_run(r, r.conditions[0], r.networks[0], 1, steps=9, learning_rate=0.01)
        for r in (first, second)
    )
    assert a.folder == b.folder
