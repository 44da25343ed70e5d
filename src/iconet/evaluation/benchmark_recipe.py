"""The schema of a benchmark recipe: which networks are trained how, and what they are tested on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from iconet.data.selection import Data
from iconet.evaluation.interpolations import METHODS
from iconet.evaluation.lowering import WAYS
from iconet.recipe_files import Section
from iconet.training.schedule import seconds

Name = Annotated[str, Field(pattern=r"^[\w.+ -]+$")]


def _checked(duration: str) -> str:
    seconds(duration)
    return duration


Duration = Annotated[str, AfterValidator(_checked)]


def _all_among(known: Collection[str]) -> AfterValidator:
    """Refuses a list that holds another name."""

    def checked(names: list[str]) -> list[str]:
        for name in names:
            if name not in known:
                raise ValueError(f"'{name}' is none of {', '.join(known)}")
        return names

    return AfterValidator(checked)


class Condition(Section):
    """One problem; methods are compared inside a condition and never across two.

    Attributes:
        name: For people and folders.
        scale: How many times fewer pixels along each side.
        task: ``super-resolution``, or ``joint`` where the low-resolution scan is also undersampled.
        known_samples: Whether networks see the measured k-space (two channels, data consistency) or
            the magnitude image alone.
        test: How the test scans are degraded, see `iconet.evaluation.lowering.WAYS`.
        models: Trained models, by name or file, that take part beside what is trained here.
        training: Replaces parts of the recipe's section ``training`` under this condition.
        budget: The time of every run under this condition, instead of the recipe's.
    """

    name: Name
    scale: Literal[2, 4, 8]
    task: Literal["super-resolution", "joint"] = "super-resolution"
    known_samples: bool = False
    test: Annotated[list[str], _all_among(WAYS)] = Field(default=["kspace-crop"], min_length=1)
    models: list[str] = Field(default_factory=list)
    training: dict[str, Any] = Field(default_factory=dict)
    budget: Duration | None = None

    @model_validator(mode="after")
    def _samples_are_measured(self) -> Condition:
        if self.known_samples and (self.task != "joint" or self.test != ["joint"]):
            raise ValueError("known_samples needs task: joint and test: [joint]")
        return self


class Entrant(Section):
    """A network that takes part: it is trained once a condition and seed.

    Attributes:
        name: In tables.
        network: The section ``network`` of a training recipe: architecture, size, options.
        seeds: One run each.
        training: Replaces parts of the section ``training`` for this network alone: what a row of
            an ablation or of a matrix of degradations differs in.
        conditions: Names of those it takes part in; all by default.
        learning_rate: Its own, found elsewhere; instead of the recipe's.
    """

    name: Name
    network: dict[str, Any] = Field(default_factory=dict)
    seeds: list[int] = Field(default=[1], min_length=1)
    training: dict[str, Any] = Field(default_factory=dict)
    conditions: list[str] | None = None
    learning_rate: float | None = Field(None, gt=0)


def model_name(model: str) -> str:
    """What tables call a trained model that is given by name or file."""
    model = model.rpartition("@")[2]  # of a network of one's own, after its class
    return model.removesuffix(".safetensors").rpartition("/")[2]


class BenchmarkRecipe(Section):
    """A queue of training runs under equal terms, and the tests of everything.

    Attributes:
        data: Where the scans are, for training and tests.
        split: Which split is tested: ``test``, or ``validation`` while choosing.
        datasets: Data sets to test on.
        every: Only every so manieth slice is tested, to bound the time.
        conditions: The problems.
        interpolations: Names in `iconet.evaluation.interpolations.METHODS`.
        networks: What is trained.
        focus: The method that the others are compared with, by default the first network or model.
        training: The training recipe that all networks share, without what is set here.
        steps: Training steps of every run, or
        budget: the time of every run, such as ``90s``, from which each network's steps follow by
            its measured time a step. One of the two.
        learning_rates: With several, each network's own is chosen on the validation scans.
        tuning: Share of the steps that each of several learning rates is tried for.
        device: Where networks run (auto, cpu, cuda).
        precision: In which precision (auto, fp32, bf16).
        output: Folder for everything.
    """

    data: Data
    split: Literal["test", "validation"] = "test"
    datasets: list[str] = Field(min_length=1)
    every: int = Field(1, ge=1)
    conditions: list[Condition] = Field(min_length=1)
    interpolations: Annotated[list[str], _all_among(METHODS)] = Field(default=["zero-filling"])
    networks: list[Entrant] = Field(default_factory=list)
    focus: str | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    steps: int | None = Field(None, gt=0)
    budget: Duration | None = None
    learning_rates: list[Annotated[float, Field(gt=0)]] = Field(default=[1e-3], min_length=1)
    tuning: float = Field(0.1, gt=0, le=1)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    output: Path

    @model_validator(mode="after")
    def _fits_together(self) -> BenchmarkRecipe:
        conditions = [condition.name for condition in self.conditions]
        networks = [network.name for network in self.networks]
        for names in (conditions, networks):
            if len(set(names)) < len(names):
                raise ValueError(f"a name appears twice in {', '.join(names)}")
        for condition in self.conditions:
            taken = [*self.interpolations, *networks]
            for name in map(model_name, condition.models):
                if name in taken:
                    raise ValueError(f"{condition.name}: two methods are called '{name}'")
                taken.append(name)
        for network in self.networks:
            for name in network.conditions or ():
                if name not in conditions:
                    raise ValueError(f"{network.name}: no condition is called '{name}'")
        if self.networks and (self.steps is None) == (self.budget is None):
            raise ValueError("steps and budget can't be combined; give one")
        for condition in self.conditions:
            if condition.budget and self.budget is None:
                raise ValueError(f"{condition.name}: a budget of its own needs one of the recipe")
        return self

    def rates(self, network: Entrant) -> list[float]:
        """Learning rates that are tried for a network."""
        return [network.learning_rate] if network.learning_rate else self.learning_rates

    def budget_of(self, condition: Condition) -> str | None:
        """The time of every run under a condition; None where steps are given."""
        return condition.budget or self.budget

    def takes_part(self, network: Entrant, condition: Condition) -> bool:
        """Whether a network is trained and tested under a condition."""
        return network.conditions is None or condition.name in network.conditions
