"""The declared dependencies are the imported ones, and the documents name things that exist."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

from iconet.extras import EXTRAS

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]

PACKAGE = ROOT / "src" / "iconet"
# What only `iconet train`, `benchmark`, `evaluate` and `demo` use.
TRAINING = [PACKAGE / name for name in ("training", "evaluation", "data", "demo.py")]
TRAINING.append(PACKAGE / "recipe_files.py")
NODE = [PACKAGE / "node"]  # what only `iconet node` uses
VIEW = [PACKAGE / "view"]  # what only `iconet view` uses


def files_of(rooms: list[Path]) -> set[Path]:
    return {path for room in rooms for path in ([room] if room.suffix else room.rglob("*.py"))}


def third_party_imports(paths: set[Path]) -> set[str]:
    """Top-level names of every import in files, wherever it stands in its file."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    # SimpleITK is named in annotations alone: its images are taken where it is there.
    return names - set(sys.stdlib_module_names) - {"iconet", "SimpleITK"}


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements}


def distributions(imports: set[str]) -> set[str]:
    known = packages_distributions()
    return {known[name][0].lower() for name in imports}


def test_every_import_is_declared_and_every_declaration_imported() -> None:
    extras = {name: names(lines) for name, lines in PROJECT["optional-dependencies"].items()}
    training, node, view = files_of(TRAINING), files_of(NODE), files_of(VIEW)
    core = third_party_imports(set(PACKAGE.rglob("*.py")) - training - node - view)
    optional = {"distributed", "openvino", "onnx", "onnxruntime", "monai"}
    optional |= {"ipyniivue", "ipywidgets", "matplotlib"}  # of `iconet.show`
    assert optional <= set().union(*extras.values())
    # pydicom decodes with these.
    unseen = {"pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle"}
    core -= optional
    assert names(PROJECT["dependencies"]) == distributions(core) | unseen
    # torch.utils.tensorboard writes the log with it.
    more = distributions(third_party_imports(training) - core) | {"tensorboard"}
    assert extras["train"] == more
    # Its settings are read as recipes are.
    node |= {PACKAGE / "recipe_files.py"}
    assert extras["node"] == distributions(third_party_imports(node) - core)
    assert extras["view"] == distributions(third_party_imports(view) - core)


def test_what_is_missing_is_looked_for_in_the_extra_that_has_it() -> None:
    extras = {name: names(lines) for name, lines in PROJECT["optional-dependencies"].items()}
    installed = {name: name.replace("_", "-") for names in EXTRAS.values() for name in names}
    installed |= {"yaml": "pyyaml", "lightning": "lightning-fabric"}
    for extra, modules in EXTRAS.items():
        assert {installed[module] for module in modules} == extras[extra]


def test_citation_names_the_same_licence_and_paper_as_the_readme() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == PROJECT["license"]
    assert citation["preferred-citation"]["doi"] in (ROOT / "README.md").read_text()


def test_readme_shows_only_commands_that_exist() -> None:
    from iconet.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    shown = re.findall(r"(?:^ {4}|`)iconet ([a-z]+)", (ROOT / "README.md").read_text(), re.M)
    assert len(shown) > 5
    assert set(shown) <= commands


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## \[(\d.*)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest and newest[1] == PROJECT["version"] == citation["version"]
    assert newest[2] == citation["date-released"]


def test_on_the_package_index_no_link_of_the_readme_is_relative() -> None:
    text = (ROOT / "README.md").read_text()
    before = re.findall(r"\]\(([^)]+)\)", text)
    assert any("://" not in target for target in before)
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"][
        "substitutions"
    ]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    after = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    assert len(after) == len(before)
    for picture, target in after:
        assert re.match(r"\w+:|#", target), target
        assert not picture or "raw.githubusercontent.com" in target
