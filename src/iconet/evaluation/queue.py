"""The queue of a benchmark: what is to be trained and measured, and what of it is done.

Several workers may run the same command at the same time, and each may be stopped at any time:
what is finished is on disk and recognised, and what was begun is gone on with.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.evaluation.benchmark_recipe import BenchmarkRecipe, Condition, Entrant, model_name
from iconet.evaluation.budget import Budget
from iconet.evaluation.interpolations import METHODS
from iconet.evaluation.lowering import Lowered, lower
from iconet.evaluation.metrics import evaluate
from iconet.evaluation.predict import predict
from iconet.evaluation.results import Key, Row, append_row, convention_id, read_rows
from iconet.evaluation.runs import Finished, Run, Volumes, lock, plan_run
from iconet.evaluation.sfrc import flagged
from iconet.runtime.device import Compute, choose_compute
from iconet.training.architecture import load_trained

if TYPE_CHECKING:
    from torch import nn

WAIT = 5.0  # seconds between looks at what other workers are doing


@dataclass(frozen=True)
class Test:
    """A test scan: its row in the table of scans, and its slices ``(S, H, W)``."""

    dataset: str
    subject: str
    path: str
    contrast: str
    plane: str
    stack: NDArray[np.float32]


@dataclass(frozen=True)
class Method:
    """Something that enlarges degraded scans by the factor of a condition."""

    name: str
    seed: str
    weights: str
    compute: str
    enlarge: Callable[[Lowered, Condition], NDArray[np.float32]]


class Queue:
    """All that a recipe asks for, and what of it is done.

    Args:
        recipe: Of the benchmark.

    Raises:
        InputError: If a part of the recipe cannot be carried out; nothing is written then.
    """

    def __init__(self, recipe: BenchmarkRecipe) -> None:
        self.recipe = recipe
        self.compute = choose_compute(recipe.device, recipe.precision)
        self.models = {c.name: [_model(name, c) for name in c.models] for c in recipe.conditions}
        for condition in recipe.conditions:
            for network in recipe.networks:
                if recipe.takes_part(network, condition):
                    plan_run(recipe, condition, network, 1, steps=1, learning_rate=1.0)
        self.tests = list(_tests(recipe))
        try:
            recipe.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {recipe.output}: {error.strerror}") from error
        self.results = recipe.output / "results.csv"
        self.rows()  # refuses a table of another version
        self.volumes = Volumes(recipe.output)
        self.budget = Budget(recipe, self.compute)

    def focus(self, condition: Condition) -> str | None:
        """The method that the others are compared with: a network, or else a trained model."""
        networks = (n.name for n in self.recipe.networks if self.recipe.takes_part(n, condition))
        models = (name for name, _ in self.models[condition.name])
        return self.recipe.focus or next(chain(networks, models), None)

    def entries(self) -> Iterator[tuple[Condition, Entrant, int]]:
        """Training runs, the most informative first: every network once before any twice."""
        rounds = max((len(network.seeds) for network in self.recipe.networks), default=0)
        for number in range(rounds):
            for condition in self.recipe.conditions:
                for network in self.recipe.networks:
                    if number < len(network.seeds) and self.recipe.takes_part(network, condition):
                        yield condition, network, network.seeds[number]

    def work(self, deadline: float) -> None:
        """Do what is left, until it is done or no new work may begin."""
        self.budget.measure(self.models)
        for condition in self.recipe.conditions:
            for method in self._untrained(condition):
                with lock(
                    self.recipe.output, f"{condition.name}_{_file_name(method.name)}"
                ) as free:
                    if free and time.monotonic() < deadline:
                        self._measure(method, condition)
        waiting = list(self.entries())
        while waiting and time.monotonic() < deadline:
            left = [entry for entry in waiting if not self._advance(*entry, deadline)]
            if len(left) == len(waiting) and time.monotonic() < deadline:
                time.sleep(WAIT)  # others hold all that is left
            waiting = left

    def run_for(self, condition: Condition, network: Entrant, seed: int) -> Run | None:
        """The run of an entry; None while its learning rate is not chosen."""
        steps = self.budget.steps(condition, network)
        rates = self.recipe.rates(network)
        scores = {}
        for trial in self._trials(condition, network, steps) if len(rates) > 1 else ():
            if trial.finished is None:
                return None
            scores[trial.recipe.optimisation.learning_rate] = trial.finished.validation
        rate = max(scores, key=lambda rate: scores[rate]) if scores else rates[0]
        return plan_run(self.recipe, condition, network, seed, steps=steps, learning_rate=rate)

    def methods(self, condition: Condition) -> Iterator[Method]:
        """Every method of a condition that can be measured by now."""
        yield from self._untrained(condition)
        for entry in self.entries():
            if entry[0] == condition and (run := self.run_for(*entry)) and (done := run.finished):
                yield self._trained(run, done)

    def rows(self) -> dict[Key, Row]:
        """What has been measured."""
        with lock(self.recipe.output, "results", wait=True):
            return {row.key: row for row in read_rows(self.results, Row)}

    def wanted(self) -> list[Row]:
        """The measured rows of what the recipe asks for, in its order."""
        rows = self.rows()
        keys = [
            self._key(method, condition, way, test)
            for condition in self.recipe.conditions
            for methods in [list(self.methods(condition))]
            for way in condition.test
            for test in self.tests
            for method in methods
        ]
        return [rows[key] for key in keys if key in rows]

    def _advance(self, condition: Condition, network: Entrant, seed: int, deadline: float) -> bool:
        """Train and measure an entry; False where another worker is at it, or time is over."""
        if time.monotonic() >= deadline:
            return False
        if self.run_for(condition, network, seed) is None:
            for trial in self._trials(condition, network, self.budget.steps(condition, network)):
                self._train(trial, deadline)
        run = self.run_for(condition, network, seed)
        if run is None:
            return False
        finished = self._train(run, deadline)
        if finished is None:
            return False
        with lock(self.recipe.output, run.folder.name) as free:
            if free:
                self._measure(self._trained(run, finished), condition)
        return free

    def _train(self, run: Run, deadline: float) -> Finished | None:
        if run.finished is None and time.monotonic() < deadline:
            with lock(self.recipe.output, run.folder.name) as free:
                if free and run.finished is None:
                    _say(f"training {run.folder.name}, {run.recipe.optimisation.steps} steps")
                    run.train(self.volumes, device=self.recipe.device)
        return run.finished

    def _trials(self, condition: Condition, network: Entrant, steps: int) -> list[Run]:
        """The short runs that the learning rate is chosen by."""
        return [
            plan_run(
                self.recipe,
                condition,
                network,
                network.seeds[0],
                steps=max(1, round(self.recipe.tuning * steps)),
                learning_rate=rate,
                tuning=True,
            )
            for rate in self.recipe.rates(network)
        ]

    def _untrained(self, condition: Condition) -> Iterator[Method]:
        for name in self.recipe.interpolations:
            yield Method(name, "", "", "", partial(_interpolated, name))
        for name, model in self.models[condition.name]:
            yield self._given(name, model)

    def _given(self, name: str, model: "nn.Module") -> Method:
        enlarge = partial(_predicted, lambda: model, self.compute)
        return Method(name, "", str(model.sha256), str(self.compute), enlarge)

    def _trained(self, run: Run, finished: Finished) -> Method:
        load = partial(load_trained, finished.weights, run.recipe.network.architecture)
        return Method(
            run.network.name,
            str(run.seed),
            finished.sha256,
            str(self.compute),
            partial(_predicted, cache(load), self.compute),
        )

    def _key(self, method: Method, condition: Condition, way: str, test: Test) -> Key:
        # Four digits: what machines add up in another order is still the same truth.
        shape = " x ".join(map(str, test.stack.shape))
        mean = f"{test.stack.mean(dtype=np.float64):.4g}"
        return Key(
            condition=condition.name,
            scale=condition.scale,
            degradation=way,
            method=method.name,
            seed=method.seed,
            weights=method.weights,
            compute=method.compute,
            dataset=test.dataset,
            subject=test.subject,
            path=test.path,
            truth=f"{shape}, mean {mean}, every {self.recipe.every}",
            convention=convention_id(way),
        )

    def _measure(self, method: Method, condition: Condition) -> None:
        """Add the rows that a method lacks under a condition."""
        done = self.rows()
        for way in condition.test:
            for number, test in enumerate(self.tests):
                key = self._key(method, condition, way, test)
                if key in done:
                    continue
                low = lower(
                    test.stack, way, condition.scale, every=self.recipe.every, name=test.path
                )
                if low is None:
                    continue
                prediction = method.enlarge(low, condition)
                measured = evaluate(prediction, low.truth)
                row = Row(
                    **vars(key),
                    contrast=test.contrast,
                    slices=len(low.truth),
                    **{name: round(value, 6) for name, value in vars(measured).items()},
                    sfrc=round(flagged(prediction, low.truth, condition.scale), 6),
                )
                with lock(self.recipe.output, "results", wait=True):
                    append_row(self.results, row)
                if number == 0:
                    self._keep_example(method, condition, way, prediction)
                _say(
                    f"{condition.name}, {way}: {method.name} {method.seed} on {test.path}: "
                    f"foreground PSNR {row.psnr_foreground:.2f} dB, SSIM {row.ssim_foreground:.4f}"
                )

    def example(self, method: Method, condition: Condition, way: str) -> Path:
        """Where the middle slice of a method's first prediction is kept, for the figures."""
        name = f"{condition.name}_{way}_{_file_name(method.name)}_{method.weights[:8]}.npy"
        return self.recipe.output / "examples" / name

    def _keep_example(
        self, method: Method, condition: Condition, way: str, prediction: NDArray[np.float32]
    ) -> None:
        path = self.example(method, condition, way)
        path.parent.mkdir(exist_ok=True)
        np.save(path, prediction[len(prediction) // 2])


def _tests(recipe: BenchmarkRecipe) -> Iterator[Test]:
    from iconet.data.split_volumes import tables_of_scans
    from iconet.data.splits import read_splits
    from iconet.data.truth import read_truth

    data = recipe.data
    tables = tables_of_scans(data, recipe.output)
    lines = read_splits(data.root, tables, recipe.split)
    for dataset in recipe.datasets:
        found = [
            line
            for line in lines
            if line["dataset"] == dataset
            and line["contrast"] in (data.contrasts or [line["contrast"]])
        ]
        if not found:
            raise InputError(
                f"{tables[-1]} has no '{recipe.split}' volume of the data set '{dataset}': leave it"
                " out of datasets"
            )
        for line in found:
            path, plane, contrast = line["path"], line["sharp_plane"], line["contrast"]
            stack = read_truth(data.root / path, plane, contrast)
            yield Test(dataset, line["subject"], path, contrast, plane, stack)


def _model(name: str, condition: Condition) -> "tuple[str, nn.Module]":
    model = load_trained(name)
    if (model.scale, model.channels) != (condition.scale, 2 if condition.known_samples else 1):
        raise InputError(
            f"conditions.{condition.name}.models: {name} is for another scale or number of "
            "channels; leave it out"
        )
    return model_name(name), model


def _interpolated(name: str, low: Lowered, condition: Condition) -> NDArray[np.float32]:
    return METHODS[name](low.magnitude[:, 0].numpy(), condition.scale)


def _predicted(
    network: "Callable[[], nn.Module]", compute: Compute, low: Lowered, condition: Condition
) -> NDArray[np.float32]:
    return predict(network(), low, known_samples=condition.known_samples, compute=compute)


def _file_name(name: str) -> str:
    return name.replace(" ", "-")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
