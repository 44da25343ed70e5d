"""What a release hands to others: the recipe of conda-forge, and the cards of other hubs."""

import hashlib
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from iconet import zoo

from .load_tool import load_tool

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tools" / "release"
if not TOOLS.is_dir():
    pytest.skip("tools are in the repository", allow_module_level=True)


def tool(name: str):
    return load_tool(f"release/{name}")


def test_the_recipe_of_conda_forge_says_what_the_project_says(tmp_path: Path) -> None:
    sdist = tmp_path / "iconet-9.8.7.tar.gz"
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        re.sub('^version = ".*"$', 'version = "9.8.7"', text, flags=re.M), encoding="utf-8"
    )
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tmp_path / "pyproject.toml", "iconet-9.8.7/pyproject.toml")
    recipe = tool("write_conda_recipe").recipe(sdist)
    assert recipe["context"]["version"] == "9.8.7"
    assert recipe["source"]["sha256"] == hashlib.sha256(sdist.read_bytes()).hexdigest()
    run = recipe["requirements"]["run"]
    assert "pytorch >=2.10" in run
    assert not any(line.startswith("torch ") for line in run), "conda-forge calls it otherwise"
    assert (
        len(run) == 1 + len(re.findall(r'"', text.split("dependencies = [")[1].split("]")[0])) / 2
    )


def test_cards_of_hubs_lead_to_pages_that_exist(tmp_path: Path) -> None:
    hubs = tool("write_hub_cards")
    hubs.main(tmp_path)
    descriptors = (tmp_path / "spandrel.md").read_text(encoding="utf-8")
    for entry in zoo.catalogue():
        folder = tmp_path / "huggingface" / entry.name
        assert hashlib.sha256((folder / entry.path.name).read_bytes()).hexdigest() == entry.sha256
        assert entry.sha256 in descriptors
        _, metadata, card = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
        assert yaml.safe_load(metadata)["license"] == "apache-2.0"
        links = re.findall(r"\]\(([^)]+)\)", card)
        assert links
        for link in links:
            path = link.removeprefix(hubs.REPOSITORY)
            assert path != link or "://" in link
            assert path == link or (ROOT / path.partition("#")[0]).exists(), link
