"""`iconet benchmark`: trains networks under equal terms, measures every method, writes a page."""

import time
from pathlib import Path

from iconet.evaluation.benchmark_recipe import BenchmarkRecipe
from iconet.evaluation.page import write_page
from iconet.evaluation.queue import Queue
from iconet.recipe_files import read_recipe
from iconet.training.schedule import seconds


def run(
    recipe_path: Path | str, overrides: list[str] | None = None, *, max_time: str | None = None
) -> str:
    """Run a benchmark recipe, going on where an earlier run stopped.

    Writes into the recipe's output folder: ``runs/``, a folder a training run; ``step-times.csv``
    and ``costs.csv``, what the networks cost; ``results.csv``, to which every measurement is added
    as soon as it is made; and at the end ``benchmark.md`` with its ``figures/``, and
    ``benchmark.csv``, the rows that they were made of. What has final weights is not trained again
    and what has a row is not measured again, unless the recipe of the run, the truth, the weights,
    the device or precision of a model, or the conventions have changed since.

    Args:
        recipe_path: YAML file, or name of a recipe of the package, see
            `iconet.evaluation.benchmark_recipe.BenchmarkRecipe`.
        overrides: ``key=value`` strings that replace values of the recipe.
        max_time: Duration such as ``40m`` after which no new work is begun.

    Returns:
        The Markdown text, which is also printed.

    Raises:
        InputError: A wrong recipe, a missing scan, an unknown model, an unwritable output.
        KeyboardInterrupt: After Ctrl-C; nothing is lost.
    """
    overrides = list(overrides or [])
    recipe = read_recipe(Path(recipe_path), overrides, BenchmarkRecipe)
    deadline = time.monotonic() + seconds(max_time) if max_time else float("inf")
    queue = Queue(recipe)
    queue.work(deadline)
    text = write_page(queue, Path(recipe_path), overrides, max_time)
    print(text)
    return text
