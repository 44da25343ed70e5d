"""Recipes: small YAML files that a person edits, each checked against a schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from iconet import recipes
from iconet.errors import InputError

Schema = TypeVar("Schema", bound=BaseModel)


class Section(BaseModel):
    """A part of a recipe: keys that are not known are refused, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_recipe(path: Path, overrides: list[str] | None, schema: type[Schema]) -> Schema:
    """Read and check a recipe.

    Args:
        path: The YAML file, or the name of a recipe of the package.
        overrides: Changes of the form ``section.key=value``, the value in YAML.
        schema: What the recipe may say.

    Raises:
        InputError: If the file cannot be read, or a key or value is wrong; the message names it.
    """
    try:
        content: Any = yaml.safe_load(recipes.recipe_file(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such recipe; give a file, or a name that --help of the command lists"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable YAML recipe ({line})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a recipe is a YAML mapping of keys to values")
    for override in overrides or []:
        _change(content, override)
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error, schema)}") from None


def _change(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InputError(f"{override}: changes to a recipe have the form key=value")
    *sections, last = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise InputError(f"{override}: '{section}' is a value of the recipe, not a section")
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"{override}: the value is not YAML; quote it twice") from None


def first_problem(error: ValidationError, schema: type[BaseModel]) -> str:
    """What is wrong with a recipe, on one line that begins with the key."""
    problem = error.errors()[0]
    place = problem["loc"]
    key = ".".join(str(part) for part in place)
    match problem["type"]:
        case "extra_forbidden":
            return f"{key}: no such key; known here: {_keys(schema, place[:-1])}"
        case "missing":
            return f"{key}: missing; add it"
        case "model_type":
            return f"{key}: a section of its own, with the keys {_keys(schema, place)}"
        case "value_error":  # said by a schema of ours
            reason = problem["msg"].removeprefix("Value error, ")
        case _:
            reason = f"{problem['msg']}, not {problem['input']!r}"
    return f"{key}: {reason}; correct the recipe" if key else f"{reason}; correct the recipe"


def _keys(schema: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """Keys of the section at a place of a recipe."""
    for part in place:
        if part in schema.model_fields:  # and not the number of an item in a list
            schema = next(_sections(schema.model_fields[str(part)].annotation))
    return ", ".join(schema.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Schemas that a type names: ``Data`` in ``list[Data] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
