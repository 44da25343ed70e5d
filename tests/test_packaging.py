"""The declared dependencies are the imported ones, and the documents name things that exist."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCUMENTS = [
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.md"))
    if path.name != "CHANGELOG.md"
]


def third_party_imports() -> set[str]:
    """Top-level names of every import in src, wherever it stands in its file."""
    names = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"iconet"}


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements}


def test_every_import_is_declared_and_every_declaration_imported() -> None:
    declared = names(PROJECT["dependencies"])
    optional = {"openvino", "onnx", "onnxruntime", "monai"}
    extras = PROJECT["optional-dependencies"].values()
    assert optional <= names([requirement for extra in extras for requirement in extra])
    distributions = packages_distributions()
    imported = {distributions[name][0].lower() for name in third_party_imports() - optional}
    # torch.utils.tensorboard writes the log with the first, pydicom decodes with the others.
    unseen = {"tensorboard", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls"}
    assert declared == imported | unseen


def test_citation_names_the_same_licence_and_paper_as_the_readme() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == PROJECT["license"]
    assert citation["preferred-citation"]["doi"] in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        assert "://" in target or (document.parent / target).exists(), target


def test_readme_shows_only_commands_that_exist() -> None:
    from iconet.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    shown = re.findall(r"(?:^ {4}|`)iconet ([a-z]+)", (ROOT / "README.md").read_text(), re.M)
    assert len(shown) > 5
    assert set(shown) <= commands
