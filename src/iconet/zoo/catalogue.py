"""The trained networks that come with the package."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """A trained network in the package.

    Attributes:
        name: What to give to ``--model`` and :func:`iconet.load`.
        scale: 2, 4 or 8.
        purpose: What it is for, one line.
        licence: Of the weights.
        sha256: Of the file of weights.
        trust: SHA-256 of the file that says how far they may be trusted; None without one.
    """

    name: str
    scale: int
    purpose: str
    licence: str
    sha256: str
    trust: str | None = None

    @property
    def path(self) -> Path:
        """The file of weights."""
        return FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> Path:
        """The model card, Markdown."""
        return FOLDER / f"{self.name}.md"


def catalogue() -> list[Entry]:
    """Trained networks of this package, read from ``catalogue.json`` beside the weights."""
    return [Entry(**entry) for entry in json.loads((FOLDER / "catalogue.json").read_text("utf-8"))]
