"""A scan on the page: what it is, what became of it, and how that is said."""

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from iconet.images.reading import SUFFIXES
from iconet.upscaling.options import Options
from iconet.view.drops import Drop
from iconet.view.tasks import Made, Seen

DICOM = "-iconet-dicom"
"""How the folder of a derived series ends."""


@dataclass
class Item:
    """A scan on the page.

    Attributes:
        id: In addresses.
        name: For people.
        source: The scan.
        folder: For what is made of it; its own.
        drop: That it came in; None for a scan that was named on the command line.
        state: looking, choose (one of several series), ready, queued, running, done or refused.
        line: What is wrong with it, or was with the last try.
        options: Of the last look or run.
        seen: What it is; None as long as that is not known.
        made: Its result; None before there is one.
        progress: Slices done, and in all.
        runs: How often it was upscaled.
        version: Of the desk, when it changed last.
        layers: What can be shown of it.
        about: What goes with each file of a layer that is drawn.
    """

    id: str
    name: str
    source: Path
    folder: Path
    drop: Drop | None = None
    state: str = "looking"
    line: str = ""
    options: Options = field(default_factory=Options)
    seen: Seen | None = None
    made: Made | None = None
    progress: tuple[int, int] | None = None
    runs: int = 0
    version: int = 0
    layers: list[dict[str, str]] = field(default_factory=list)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    def shown(self, line: str) -> str:
        """A line as the command line has it, without the folders of this program."""
        line = line.replace(f"{self.folder}/", "")
        if self.drop is not None:
            line = line.replace(str(self.source), self.name).replace(f"{self.drop.folder}/", "")
        return re.sub(r"\bout-\d+/", "", " ".join(line.split()))

    def out(self, run: int) -> Path:
        """Folder of what one run makes."""
        return self.folder / f"out-{run}"

    @property
    def stem(self) -> str:
        """For names of files that are downloaded."""
        name = PurePosixPath(self.name).name
        for suffix in (*SUFFIXES, ".zip", ".dcm", ".h5", ".hdf5", ".mrd"):
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
        return re.sub(r"[^\w+ -]", "-", name, flags=re.ASCII).strip("- ")[:80] or "scan"

    def describe(self, position: int) -> dict[str, Any]:
        """For the page; position: in the queue, from 1."""
        facts = {} if self.seen is None else self.seen.facts
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "line": self.line,
            "position": position,
            "progress": self.progress,
            "run": self.runs,
            "series": facts.get("series", []),
            "chosen": facts.get("chosen"),
            "geometry": facts.get("geometry"),
            "kind": facts.get("kind"),
            "remarks": [self.shown(line) for line in facts.get("remarks", [])],
            "layers": self.layers,
            "result": None if self.made is None else self._result(self.made),
        }

    def _result(self, made: Made) -> dict[str, Any]:
        report = made.report
        return {
            "line": self.shown(made.line),
            "remarks": [self.shown(line) for line in made.remarks],
            "geometry": report["output"],
            "acquired": report["acquired"],
            "apart": report["set_apart"],
            "consistency": report["consistency"],
            "missing": report["consistency_missing"],
            "models": [model["name"] for model in report["models"]],
            "notice": report["notice"],
            "seconds": report["seconds"],
            "files": [{"key": key, "name": path.name} for key, path in made.files.items()],
        }
