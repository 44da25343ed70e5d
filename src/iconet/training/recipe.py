"""The schema of a training recipe: a small YAML file that a person edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from iconet.errors import InputError
from iconet.network import SIZES

SMALLEST_INPUT = 16  # pixels along a side of what the network takes


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(_Section):
    """Which scans to learn from."""

    root: Path = Field(description="folder that the table's paths are relative to")
    splits: str = Field("splits.csv", description="table of scans in that folder")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description="relative frequency of each data set, 1 if not named"
    )


class Degradation(_Section):
    """How resolution is lost; see iconet.physics.degradation."""

    kspace: float = Field(0.6, ge=0)
    windowed: float = Field(0.15, ge=0)
    blurred: float = Field(0.15, ge=0)
    averaged: float = Field(0.1, ge=0)
    noise_probability: float = Field(0.5, ge=0, le=1)
    noise_max: float = Field(0.03, ge=0)


class Optimisation(_Section):
    """How long and how to learn."""

    steps: int = Field(gt=0)
    batch: int = Field(8, gt=0, multiple_of=4, description="patches in a batch")
    patch: int = Field(96, gt=0, multiple_of=32, description="side of the high-resolution patch")
    learning_rate: float = Field(1e-3, gt=0)
    warm_up: int = Field(100, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(1e-4, ge=0)
    ema: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    precision: str = Field("auto", pattern="^(auto|fp32|bf16)$")
    validate_every: int = Field(500, gt=0, description="steps between validations")


class Loss(_Section):
    """Weights of the supervised images relative to the final one."""

    reconstruction: float = Field(0.3, ge=0)
    early: float = Field(0.3, ge=0)


class Recipe(_Section):
    """Everything that makes a trained network."""

    name: str = Field(pattern=r"^[^/\\]+$", description="of the file of weights")
    purpose: str
    scale: int
    size: str = "base"
    seed: int = 0
    start_from: str | None = Field(
        None,
        description="trained weights, by name or file, whose first stage every stage begins as",
    )
    data: Data
    degradation: Degradation = Degradation()
    loss: Loss = Loss()
    optimisation: Optimisation

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, scale: int) -> int:
        if scale not in (2, 4, 8):
            raise ValueError("must be 2, 4 or 8")
        return scale

    @field_validator("size")
    @classmethod
    def _known_size(cls, size: str) -> str:
        if size not in SIZES:
            raise ValueError(f"must be one of {', '.join(SIZES)}")
        return size

    @field_validator("optimisation")
    @classmethod
    def _large_enough(cls, optimisation: Optimisation, others: ValidationInfo) -> Optimisation:
        scale = others.data.get("scale", 2)
        if optimisation.patch < SMALLEST_INPUT * scale:
            raise ValueError(f"patch must be at least {SMALLEST_INPUT * scale} at scale {scale}")
        return optimisation


def read_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        path: The YAML file.
        overrides: Changes of the form ``section.key=value``, the value in YAML.

    Raises:
        InputError: If the file cannot be read, or a key or value is wrong; the message names it.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe; see the folder recipes/") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = str(error).replace("\n", " ")
        raise InputError(f"{path}: not a readable YAML recipe ({line})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a recipe is a YAML mapping of keys to values")
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise InputError(f"{override}: changes to a recipe have the form key=value")
        *sections, last = key.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"{override}: '{section}' is a value of the recipe, not a section")
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"{override}: the value is not YAML; quote it twice") from None
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; correct the recipe") from None
