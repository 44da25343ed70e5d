"""A recipe and a network small enough for a test, their run, and what its files say."""

from pathlib import Path

from safetensors import safe_open

from iconet.data import Volume
from iconet.training import fit
from iconet.training.recipe import Recipe

NARROW = {"width": 16, "exchanges": 1, "rec_units": 1, "sr_units": 1}


def make_recipe(**optimisation: object) -> Recipe:
    """Twelve steps with four validations; arguments replace parts of the section optimisation."""
    options = {"steps": 12, "batch": 4, "patch": 32, "warm_up": 2, "validate_every": 3}
    options |= {"precision": "fp32", **optimisation}
    return Recipe.model_validate(
        {
            "name": "small",
            "purpose": "tests",
            "scale": 2,
            "network": {"size": "tiny", "options": NARROW},
            "data": {"root": "nowhere"},
            "optimisation": options,
        }
    )


def run(recipe: Recipe, volumes: list[Volume], output: Path, **options: float) -> Path:
    return fit(recipe, volumes, volumes, output=output, device="cpu", **options)


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()
