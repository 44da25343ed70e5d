"""Equal cost for every network: how many steps a budget buys, and what a prediction costs."""

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

from iconet.evaluation.benchmark_recipe import BenchmarkRecipe, Condition, Entrant
from iconet.evaluation.costs import forward_costs, step_times
from iconet.evaluation.results import CostRow, StepRow, append_row, read_rows, write_rows
from iconet.evaluation.runs import lock, plan_run
from iconet.runtime.device import Compute
from iconet.training.architecture import build
from iconet.training.recipe import Network, Recipe
from iconet.training.schedule import seconds

if TYPE_CHECKING:
    from torch import nn


Models = Mapping[str, Sequence[tuple[str, "nn.Module"]]]
"""Condition to the names and networks of the trained models that take part in it."""


class Budget:
    """Measures once, before anything is trained, and keeps the answers on disk.

    A budget is turned into steps, and not spent by the clock: runs on a machine that others slow
    down get what is theirs, and a run that goes on another day ends where it would have ended.

    Args:
        recipe: Of the benchmark.
        compute: Where networks run.
    """

    def __init__(self, recipe: BenchmarkRecipe, compute: Compute) -> None:
        self.recipe, self.compute = recipe, compute
        self.times = recipe.output / "step-times.csv"
        self.costs = recipe.output / "costs.csv"

    def measure(self, models: Models) -> None:
        """Measure what is not known yet: seconds of a step if there is a budget, and costs."""
        with lock(self.recipe.output, "costs", wait=True):
            if self.recipe.budget:
                self._measure_steps()
            self._measure_costs(models)

    def steps(self, condition: Condition, network: Entrant) -> int:
        """Training steps of a network."""
        if self.recipe.steps:
            return self.recipe.steps
        row = self._step_rows()[self._step_digest(self._recipe(condition, network))]
        return max(1, round(seconds(str(self.recipe.budget_of(condition))) / row.seconds))

    def costs_of(self, condition: Condition) -> dict[str, CostRow]:
        """What applying each network or model costs under a condition, by its name."""
        wanted = (condition.scale, str(condition.known_samples), str(self.compute))
        rows = read_rows(self.costs, CostRow)
        return {r.network: r for r in rows if (r.scale, r.known_samples, r.compute) == wanted}

    def _recipe(self, condition: Condition, network: Entrant) -> Recipe:
        return plan_run(self.recipe, condition, network, 1, steps=1, learning_rate=1.0).recipe

    def _networks(self, condition: Condition) -> list[Entrant]:
        return [n for n in self.recipe.networks if self.recipe.takes_part(n, condition)]

    def _step_rows(self) -> dict[str, StepRow]:
        rows = read_rows(self.times, StepRow)
        return {row.digest: row for row in rows if row.compute == str(self.compute)}

    def _measure_steps(self) -> None:
        """Everything in turns. What differs in its training data alone is one and the same."""
        recipes: dict[str, Recipe] = {}
        for condition in self.recipe.conditions:
            for network in self._networks(condition):
                recipe = self._recipe(condition, network)
                recipes.setdefault(self._step_digest(recipe), recipe)
        known = self._step_rows()
        if not recipes.keys() - known.keys():
            return
        now = step_times(recipes, self.compute)
        # The clock may be another one than before. What is known already says how much.
        pace = [known[digest].seconds / now[digest].median for digest in recipes.keys() & known]
        factor = statistics.median(pace) if pace else 1.0
        for digest in recipes:
            if digest not in known:
                times = (now[digest].median, now[digest].low, now[digest].high)
                numbers = (float(f"{factor * number:.4g}") for number in times)
                purpose, compute = recipes[digest].purpose, str(self.compute)
                append_row(self.times, StepRow(purpose, digest, compute, *numbers))

    def _step_digest(self, recipe: Recipe) -> str:
        """Of all that decides how long a step takes."""
        ignored = {"steps", "learning_rate", "validate_every"}
        options = recipe.optimisation.model_dump(mode="json", exclude=ignored)
        return _digest(_architecture(recipe), options)

    def _measure_costs(self, models: Models) -> None:
        """What is compared is measured together, and all again where one is missing."""
        rows = read_rows(self.costs, CostRow)
        for kind in dict.fromkeys((c.scale, c.known_samples) for c in self.recipe.conditions):
            networks: dict[str, nn.Module] = {}
            names: dict[str, str] = {}
            for condition in self.recipe.conditions:
                if (condition.scale, condition.known_samples) != kind:
                    continue
                for network in self._networks(condition):
                    recipe = self._recipe(condition, network)
                    names[network.name] = _digest(_architecture(recipe))
                    if names[network.name] not in networks:
                        built = build(recipe.network, recipe.scale, recipe.task.channels)
                        networks[names[network.name]] = built.eval()
                for name, model in models.get(condition.name, ()):
                    names[name] = str(model.sha256)[:8]
                    networks[names[name]] = model
            group = (kind[0], str(kind[1]), str(self.compute))
            own = [r for r in rows if (r.scale, r.known_samples, r.compute) == group]
            if names.items() <= {(row.network, row.digest) for row in own}:
                continue
            found = forward_costs(networks, self.compute)
            rows = [row for row in rows if row not in own]
            rows += [
                CostRow(name, kind[0], group[1], digest, group[2], **asdict(found[digest]))
                for name, digest in names.items()
            ]
            write_rows(self.costs, rows, CostRow)


def _architecture(recipe: Recipe) -> tuple[object, ...]:
    description = (recipe.network.model_dump_json(), recipe.scale, recipe.task.channels)
    return *description, _shapes(*description)


@cache
def _shapes(network: str, scale: int, channels: int) -> tuple[tuple[int, ...], ...]:
    """Of all weights: a redesigned network keeps its name, but not its costs."""
    built = build(Network.model_validate_json(network), scale, channels)
    return tuple(tuple(weights.shape) for weights in built.parameters())


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
