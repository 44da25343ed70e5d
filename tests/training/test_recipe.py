"""A recipe that is wrong says where."""

from pathlib import Path

import pytest
import yaml

from iconet import recipes
from iconet.errors import InputError
from iconet.physics.acquisition import Acquisition
from iconet.recipe_files import read_recipe
from iconet.training.recipe import FINE_TUNING_RATE, Recipe

RECIPES = sorted(recipes.FOLDER.glob("mri-*.yaml"))
CONTENT = """\
name: small
purpose: tests
scale: 2
data:
  root: somewhere
  weights: {a: 0.5}
optimisation:
  steps: 10
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mein rezept ü.yaml"
    path.write_text(CONTENT, encoding="utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        read_recipe(path, list(overrides), Recipe)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_of_the_repository_are_right_and_named_as_their_files(recipe: Path) -> None:
    found = read_recipe(recipe, [], Recipe)
    assert found.name == recipe.stem
    assert f"x{found.scale}" in recipe.stem.split("-")
    assert (found.task.kind == "joint") == recipe.stem.endswith("-joint")


def test_a_recipe_is_read_with_its_defaults(path: Path) -> None:
    recipe = read_recipe(path, None, Recipe)
    assert (recipe.name, recipe.scale, recipe.network.size) == ("small", 2, "base")
    assert recipe.data.root == Path("somewhere")
    assert recipe.optimisation.steps == 10
    assert recipe.optimisation.batch == 8


def test_overrides_replace_values_and_are_yaml(path: Path) -> None:
    overrides = ["optimisation.learning_rate=2.0e-4", "data.weights={b: 2}", "seed=7", "name=a=b"]
    more = ["degradation.kspace=1", "data.root=with space/ü"]
    recipe = read_recipe(path, overrides + more, Recipe)
    assert recipe.optimisation.learning_rate == 2e-4
    assert recipe.optimisation.steps == 10
    assert recipe.data.weights == {"b": 2.0}
    assert recipe.seed == 7
    assert recipe.name == "a=b"
    assert recipe.degradation.kspace == 1  # a section that the file leaves out
    assert recipe.data.root == Path("with space/ü")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("optimisation.stepps=5", "optimisation.stepps"),
        ("colour=red", "colour"),
        ("optimisation.steps=0", "optimisation.steps"),
        ("optimisation.steps=many", "optimisation.steps"),
        ("optimisation.batch=0", "optimisation.batch"),
        ("optimisation.patch=90", "optimisation.patch"),
        ("optimisation.learning_rate=.inf", "optimisation.learning_rate"),
        ("optimisation.precision=fp16", "optimisation.precision"),
        ("optimisation.ema=1", "optimisation.ema"),
        ("degradation.noise_probability=1.5", "degradation.noise_probability"),
        ("degradation.kspace=-1", "degradation.kspace"),
        ("data.weights={a: -1}", "data.weights.a"),
        ("data.weights={a: .nan}", "data.weights.a"),
        ("scale=3", "scale"),
        ("size=base", "size"),
        ("network=iconet", "network"),
        ("network.size=huge", "network.size"),
        ("network.architecture=resnet", "network.architecture"),
        ("network.options={wdith: 8}", "network.options"),
        ("network.options={width: [8]}", "network.options"),
        ("network={architecture: rcan, size: large}", "network"),
        ("task.kind=denoising", "task.kind"),
        ("task.known_samples=true", "task"),
        ("task.acceleration=4", "task.acceleration"),
        ("task.acceleration=[6, 2]", "task"),
        ("task.noise_max=-1", "task"),
        ("data.layout=dicom", "data.layout"),
        ("name=../elsewhere", "name"),
        ("name=", "name"),
    ],
)
def test_a_wrong_key_or_value_names_itself(path: Path, override: str, key: str) -> None:
    assert refusal(path, override).startswith(f"{path}: {key}: ")


def test_wrong_choices_name_the_right_ones(path: Path) -> None:
    assert "2, 4 or 8" in refusal(path, "scale=3")
    assert "tiny, base, large" in refusal(path, "network.size=huge")


def test_a_patch_too_small_for_the_scale_is_refused(path: Path) -> None:
    message = refusal(path, "scale=8", "optimisation.patch=96")
    assert "patch must be at least 128 at scale 8" in message
    assert (
        read_recipe(path, ["scale=8", "optimisation.patch=128"], Recipe).optimisation.patch == 128
    )


def test_a_missing_key_names_itself(path: Path) -> None:
    content = yaml.safe_load(CONTENT)
    del content["optimisation"]["steps"]
    path.write_text(yaml.safe_dump(content))
    assert refusal(path).startswith(f"{path}: optimisation.steps: missing; add it")


def test_the_joint_task_needs_its_field_of_view(path: Path) -> None:
    assert "192 is usual" in refusal(path, "task.kind=joint")
    recipe = read_recipe(path, ["task.kind=joint", "optimisation.patch=64"], Recipe)
    assert recipe.task.channels == 1
    assert recipe.task.acquisition() == Acquisition(noise_max=0.02)


def test_the_task_says_how_scans_are_acquired(path: Path) -> None:
    task = "{kind: joint, known_samples: true, acceleration: [4, 4], mask: random, noise_min: 0.01}"
    recipe = read_recipe(path, [f"task={task}", "optimisation.patch=64"], Recipe)
    assert recipe.task.channels == 2
    assert recipe.task.acquisition() == Acquisition(
        acceleration=(4, 4), centre_fraction=0.08, mask="random", noise_min=0.01, noise_max=0.02
    )


def test_peers_are_known_by_their_names(path: Path) -> None:
    assert "iconet, edsr-baseline" in refusal(path, "network.architecture=resnet")
    recipe = read_recipe(path, ["network.architecture=rcan"], Recipe)
    assert recipe.network.architecture == "rcan"


def test_growth_is_for_a_cascade_that_begins_with_nothing(path: Path) -> None:
    grow = "optimisation.grow=0.5"
    assert read_recipe(path, [grow, "scale=4"], Recipe).optimisation.grow == 0.5
    assert "start_from" in refusal(path, grow, "scale=4", "start_from=mri-x2")
    assert "only ICONet" in refusal(path, grow, "scale=4", "network.architecture=rcan")
    assert "optimisation.grow" in refusal(path, "optimisation.grow=1")


def test_recipes_without_growth_keep_their_fingerprints(path: Path) -> None:
    assert "grow" not in read_recipe(path, None, Recipe).model_dump_json()
    assert '"grow":0.5' in read_recipe(path, ["optimisation.grow=0.5"], Recipe).model_dump_json()


def test_runs_that_start_from_trained_weights_have_a_learning_rate_of_their_own(path: Path) -> None:
    rates = [
        read_recipe(path, overrides, Recipe).optimisation.learning_rate
        for overrides in (
            [],
            ["start_from=mri-x2"],
            ["start_from=mri-x2", "optimisation.learning_rate=1.0e-3"],
        )
    ]
    assert rates == [1e-3, FINE_TUNING_RATE, 1e-3]


def test_a_class_of_one_s_own_takes_any_options(path: Path) -> None:
    own = "network={architecture: 'lab.nets:Net', options: {depth: 3}}"
    network = read_recipe(path, [own], Recipe).network
    assert network.own and network.options == {"depth": 3}
    assert "size is ICONet's" in refusal(path, own[:-1] + ", size: large}")
    assert "only ICONet" in refusal(path, own, "optimisation.grow=0.5", "scale=4")
    assert "or package.module:Class" in refusal(path, "network.architecture=lab.nets.Net")
