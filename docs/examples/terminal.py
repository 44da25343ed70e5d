"""A terminal for the examples: a new folder, in which commands are typed."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path


class Terminal:
    """Runs commands in a folder of its own and prints what they print.

    Attributes:
        folder: where files are; it goes when Python ends.
    """

    def __init__(self) -> None:
        self._keeps = tempfile.TemporaryDirectory(prefix="iconet-example-")
        self.folder = Path(self._keeps.name)

    def __call__(self, command: str, *, code: int = 0) -> None:
        """Type a command that is expected to end with this exit code."""
        beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            shlex.split(command),
            cwd=self.folder,
            env={**os.environ, "PATH": beside, "COLUMNS": "100"},
            capture_output=True,
            text=True,
        )
        print(f"$ {command}\n{done.stdout}{done.stderr}")
        if done.returncode != code:
            raise RuntimeError(f"{command}: exit code {done.returncode}")
