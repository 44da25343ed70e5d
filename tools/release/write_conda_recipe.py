"""Write conda-forge's recipe: python tools/release/write_conda_recipe.py SDIST > recipe.yaml

Version, hash and dependencies are the source distribution's, so that they are stated once. The
source distribution has the page of `iconet view` built: no Node.js is needed. Put the result into
the feedstock (for the first release: conda-forge/staged-recipes, recipes/iconet/recipe.yaml).
"""

import hashlib
import re
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import yaml

# What conda-forge calls otherwise than the package index.
CONDA = {"torch": "pytorch", "isal": "python-isal"}
MAINTAINERS = ["iconet"]


def recipe(sdist: Path) -> dict[str, Any]:
    """The recipe (format 1) of a source distribution."""
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/pyproject.toml")
        assert member is not None
        content = tomllib.loads(member.read().decode())
    project, version = content["project"], content["project"]["version"]
    lowest = project["requires-python"].removeprefix(">=")
    return {
        "schema_version": 1,
        "context": {"version": version, "python_min": lowest},
        "package": {"name": "iconet", "version": "${{ version }}"},
        "source": {
            "url": "https://pypi.org/packages/source/i/iconet/iconet-${{ version }}.tar.gz",
            "sha256": hashlib.sha256(sdist.read_bytes()).hexdigest(),
        },
        "build": {
            "number": 0,
            "noarch": "python",
            "script": "${{ PYTHON }} -m pip install . -vv --no-deps --no-build-isolation",
            "python": {
                "entry_points": [f"{name} = {call}" for name, call in project["scripts"].items()]
            },
        },
        "requirements": {
            "host": [
                "python ${{ python_min }}.*",
                "pip",
                *map(conda, content["build-system"]["requires"]),
            ],
            "run": ["python >=${{ python_min }}", *map(conda, project["dependencies"])],
        },
        "tests": [
            {
                "python": {
                    "imports": ["iconet", "iconet.cli"],
                    "python_version": "${{ python_min }}.*",
                }
            },
            {"script": ["iconet --version", "iconet models"]},
        ],
        "about": {
            "homepage": project["urls"]["Source"],
            "summary": project["description"],
            "license": project["license"],
            "license_file": project["license-files"],
            "documentation": project["urls"]["Documentation"],
            "repository": project["urls"]["Source"],
        },
        "extra": {"recipe-maintainers": MAINTAINERS},
    }


def conda(requirement: str) -> str:
    """A requirement of the package index as conda writes it."""
    name, bound = re.fullmatch(r"([\w.-]+)\s*(.*)", requirement).groups()
    return f"{CONDA.get(name, name)} {bound}".strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    yaml.safe_dump(recipe(Path(sys.argv[1])), sys.stdout, sort_keys=False, width=120)
