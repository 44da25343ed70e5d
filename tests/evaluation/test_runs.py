"""Training runs: each in its folder, never done twice, one worker at a time."""

import pytest

from iconet.errors import InputError
from iconet.evaluation import benchmark
from iconet.evaluation.benchmark_recipe import BenchmarkRecipe
from iconet.evaluation.runs import lock, plan_run

from .conftest import described

pytestmark = pytest.mark.usefixtures("no_figures")


def test_an_interrupted_run_is_neither_lost_nor_taken_for_finished(
    content, write, trained, monkeypatch
):
    from iconet import training

    finish = training.fit

    def interrupted(recipe, volumes, validation_volumes, *, output, device):
        finish(recipe, volumes, validation_volumes, output=output, device=device)
        (output / "checkpoint.safetensors").touch()
        if recipe.name == "peer":
            raise KeyboardInterrupt
        return output / f"{recipe.name}.safetensors"

    recipe = write(content)
    monkeypatch.setattr("iconet.training.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run(recipe)
    kept = [path.parent.name for path in recipe.parent.glob("out/runs/*/checkpoint.safetensors")]
    assert [name.rsplit("_", 1)[0] for name in kept] == ["sr-x2_peer_seed1"]
    trained.clear()
    monkeypatch.setattr("iconet.training.fit", finish)
    benchmark.run(recipe)
    assert described(trained) == [("peer", 1), ("iconet", 2)]


def planned(content, seed=1, **options):
    recipe = BenchmarkRecipe.model_validate(content)
    options = {"steps": 3, "learning_rate": 0.01} | options
    return plan_run(recipe, recipe.conditions[0], recipe.networks[0], seed, **options)


def test_another_recipe_or_seed_is_another_folder(content):
    first = planned(content)
    assert first.folder.parent.name == "runs"
    assert first.folder.name.rsplit("_", 1)[0] == "sr-x2_iconet_seed1"
    assert planned(content).folder == first.folder
    tuning = planned(content, tuning=True)
    assert tuning.folder.name.startswith("sr-x2_iconet_seed1_tuning_")
    assert tuning.recipe == first.recipe
    others = [planned(content, 2), planned(content, steps=4), planned(content, learning_rate=0.02)]
    assert len({run.folder for run in [first, tuning, *others]}) == 5


def test_a_section_that_makes_no_recipe_is_said(content):
    content["training"]["optimisation"]["colour"] = "red"
    with pytest.raises(InputError, match=r"iconet under sr-x2: .*colour"):
        planned(content)


def test_a_run_is_finished_when_its_weights_are_there(content, trained):
    run = planned(content)
    assert run.finished is None
    done = run.train(lambda recipe, split: [split], device="cpu")
    assert run.finished == done
    assert (done.weights.parent, done.steps) == (run.folder, 3)
    assert done.validation == -abs(0.01 - 0.002)  # as the stand-in has it
    assert len(done.sha256) == 64
    assert not (run.folder / "checkpoint.safetensors").exists()
    done.weights.unlink()
    assert run.finished is None


def test_a_lock_is_held_by_one_and_freed_at_the_end(tmp_path):
    with lock(tmp_path, "a") as first, lock(tmp_path, "a") as second, lock(tmp_path, "b") as other:
        assert (first, second, other) == (True, False, True)
    with pytest.raises(RuntimeError), lock(tmp_path, "a"):
        raise RuntimeError
    with lock(tmp_path, "a", wait=True) as free:
        assert free
