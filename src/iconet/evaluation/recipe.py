"""What a benchmark recipe may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iconet.errors import InputError


class Data(BaseModel):
    """Where the scans are, as in training recipes.

    Attributes:
        root: Folder with the scans.
        splits: CSV inside it: dataset, subject, split, path, contrast, sharp_plane.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path
    splits: str = "splits.csv"


class BenchmarkRecipe(BaseModel):
    """One benchmark: which scans, made smaller how, enlarged by what. Paths as on a command line.

    Attributes:
        data: Where the scans are.
        split: Rows of its table to use.
        datasets: Values of its column ``dataset`` to use.
        scales: Factors by which the scans are made smaller in plane.
        degradation: How they are made smaller: ``kspace-crop`` is a centred crop of k-space.
        methods: Interpolations (the names in `iconet.evaluation.interpolation.METHODS`), names of
            trained models, or ``.safetensors`` files. A model takes part at its own scale.
        device: Where models run (auto, cpu, cuda).
        precision: In which precision (auto, fp32, bf16).
        output: Folder for ``results.csv``, ``benchmark.csv`` and ``benchmark.md``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Data
    split: str = "test"
    datasets: list[str] = Field(min_length=1)
    scales: list[Literal[2, 4, 8]] = Field(min_length=1)
    degradation: Literal["kspace-crop"] = "kspace-crop"
    methods: list[str] = Field(min_length=1)
    device: str = "auto"
    precision: str = "auto"
    output: Path


def read_recipe(path: Path, overrides: list[str]) -> BenchmarkRecipe:
    """Read a recipe and apply ``key=value`` overrides, the values written as in YAML.

    Raises:
        InputError: The file is missing or not YAML, or a key or value is wrong (it is named).
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a recipe: expected lines of 'key: value'")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise InputError(f"cannot use {override!r}: write key=value, such as split=validation")
        try:
            _set(content, key.split("."), yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise InputError(
                f"cannot read the value in {override!r}: write it as in YAML"
            ) from error
    try:
        return BenchmarkRecipe.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from error


def _set(content: dict[str, Any], names: list[str], value: object) -> None:
    *sections, last = names
    for name in sections:
        inner = content.get(name)
        content[name] = content = dict(inner) if isinstance(inner, dict) else {}
    content[last] = value


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        model = Data if len(problem["loc"]) > 1 else BenchmarkRecipe
        known = ", ".join(model.model_fields)
        return f"unknown key '{where}': use one of {known}"
    if problem["type"] == "missing":
        return f"the key '{where}' is missing"
    if problem["type"] == "model_type":
        return f"'{where}' is a section, not a value: set {where}.root, as in data.root=/path"
    return f"wrong value for '{where}': {problem['msg']}, not {problem['input']!r}"
