"""The recipes that come with the package, by name: ``iconet train own-scans-x2``."""

from pathlib import Path

FOLDER = Path(__file__).parent
BENCHMARK = "benchmark-"
"""What the names of recipes for ``iconet benchmark`` begin with."""


def names(*, benchmark: bool) -> list[str]:
    """Names of the recipes for ``iconet benchmark``, or of those for ``iconet train``."""
    found = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return [name for name in found if name.startswith(BENCHMARK) == benchmark]


def recipe_file(given: str | Path) -> Path:
    """The file of a recipe: that of a path, or else the package's of that name."""
    path = Path(given)
    if not path.is_file() and path.name == str(given):
        own = FOLDER / f"{path.name.removesuffix('.yaml')}.yaml"
        if own.is_file():
            return own
    return path
