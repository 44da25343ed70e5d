"""What the page's two processes are asked to do, and what they answer."""

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.upscaling.models import Step
from iconet.upscaling.options import Options
from iconet.upscaling.recovery import Recovery

FIRST = "scan-0.nii"
"""The picture that is drawn when a scan is first looked at."""


@dataclass(frozen=True)
class Find:
    """Find the scans in a folder that was dropped, or named. The answer: `Found`."""

    folder: Path
    results: Path


@dataclass(frozen=True)
class Look:
    """Read a scan and draw it.

    Attributes:
        source: The scan.
        options: Which of its series and volumes, and what it is.
        pictures: Folder for layers.
    """

    source: Path
    options: Options
    pictures: Path


@dataclass(frozen=True)
class Draw:
    """Draw a layer.

    Attributes:
        look: The scan.
        key: Of the layer.
        volume: Of a series, from 0.
        path: File of the layer.
        made: Of the result; None before there is one.
    """

    look: Look
    key: str
    volume: int
    path: Path
    made: "Made | None" = None


@dataclass(frozen=True)
class Upscale:
    """Upscale a scan, as `iconet upscale` does.

    Attributes:
        source: The scan.
        target: Of the result: a file, or the folder of a derived series.
        copy: NIfTI file beside a derived series.
        options: How.
    """

    source: Path
    target: Path
    copy: Path | None
    options: Options


@dataclass(frozen=True)
class Refused:
    """It cannot be done: the line that the command line says."""

    line: str

    @classmethod
    def by(cls, error: Exception) -> "Refused":
        """What an exception says; of a fault of iconet, where it is."""
        if isinstance(error, InputError):
            return cls(str(error))
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return cls(f"{type(error).__name__} in {where}, a fault of iconet")


@dataclass(frozen=True)
class Found:
    """Scans in a folder, and a line on what was left out; empty without any."""

    scans: tuple[Path, ...]
    left_out: str = ""


@dataclass(frozen=True)
class Seen:
    """What a scan is.

    Attributes:
        facts: For the page.
        about: What goes with the first picture; None where there is none.
        derivable: Whether a derived DICOM series can be made of it.
        placed: Whether it has a place in the world, which NIfTI needs.
    """

    facts: dict[str, Any]
    about: dict[str, Any] | None = None
    derivable: bool = False
    placed: bool = True


@dataclass(frozen=True)
class Drawn:
    """A layer is drawn: what goes with it; None where it cannot be made."""

    about: dict[str, Any] | None


@dataclass(frozen=True)
class Made:
    """A result is there.

    Attributes:
        files: To be downloaded: `image`, which holds the voxels, `report`, and perhaps `dicom`, a
            zip of the derived series; with bounds `lower`, `upper` and perhaps `residual`.
        layers: What can be shown of it.
        line: What was done.
        remarks: What else is to be said.
        report: What was done and how well it fits.
        network: Whether a network took part.
        named: Whether the values are labels.
        acquisition: As in the report, to be used again.
    """

    files: dict[str, Path]
    layers: list[dict[str, str]]
    line: str
    remarks: tuple[str, ...]
    report: dict[str, Any]
    network: bool
    named: bool
    acquisition: Recovery | Step | None = field(default=None, compare=False)
