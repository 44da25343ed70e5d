"""What was done to a scan, with what and how well it holds: the JSON report beside an output.

The schema is in docs/report.md. A report has no patient data of its own: file names without their
folders, hashes, geometry and numbers.
"""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from iconet.files import sha256_of
from iconet.images import Scan
from iconet.images.kind import Kind
from iconet.runtime.device import Compute
from iconet.runtime.threads import cores
from iconet.upscaling.apart import SetApart
from iconet.upscaling.input_consistency import input_consistency
from iconet.upscaling.models import Step
from iconet.upscaling.out_of_range import Finding
from iconet.upscaling.recovery import Recovery
from iconet.zoo.model import Model

SCHEMA_VERSION = 1
NOTICE = "Research use, not for diagnosis: a network adds detail that is likely, not measured."
INTERPOLATED = "Research use, not for diagnosis: an interpolation adds no detail."
CONVENTION = (
    "output before rounding to its stored type, k-space cropped to the input's grid (to what was"
    " acquired, with its window) or made smaller as the input seems to have been, against the"
    " input; all voxels, what was set apart replaced by what goes on around it; data range: the"
    " input's maximum"
)
OTHER_FIELD = "the output has another field of view, or fewer voxels along an axis, than the input"
OF_LABELS = "labels are names, not measurements"
OF_KSPACE = "the input is k-space, not an image"


class Made(NamedTuple):
    """What was made of a scan.

    Attributes:
        line: says so to people.
        scan: as read; of raw k-space only the grid.
        bigger: as written.
        models: that took part.
        seconds: each part took.
        kspace: coils and acceleration of raw k-space.
        interpolated: why and how, if no model took part; else None.
        apart: what went around the networks.
        acquisition: how slices were brought to what was acquired, or the step that undid how they
            were made smaller; None if they were taken as they are.
        kind: what the scan was taken for; None for raw k-space.
        remarks: what was said of it to people: found, guessed, left out.
        findings: in what the scan is unlike those that the first model knows.
        beside: files and folders of bounds.
    """

    line: str
    scan: Scan
    bigger: Scan
    models: Sequence[Model]
    seconds: Mapping[str, float]
    kspace: Mapping[str, Any] | None = None
    interpolated: str | None = None
    apart: SetApart = SetApart()
    acquisition: Recovery | Step | None = None
    kind: Kind | None = None
    remarks: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    beside: Sequence[Path] = ()


def make_report(
    made: Made,
    *,
    inputs: Iterable[Path],
    outputs: Iterable[Path],
    compute: Compute,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything a reader needs to judge and repeat what was done.

    Args:
        made: what was made of the scan, and by which models.
        inputs: the files it was read from.
        outputs: the files it was written to, complete.
        compute: where the models ran.
        options: that change the result, as they were given.

    Returns:
        What `docs/report.md` describes; it holds nothing but what JSON can.
    """
    kind = made.kind
    reason = OF_KSPACE if made.kspace else OF_LABELS if kind is not None and kind.labels else None
    agreement = None if reason else input_consistency(made.scan, made.bigger, made.acquisition)
    missing = reason or (OTHER_FIELD if agreement is None else None)
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "notice": INTERPOLATED if made.interpolated else NOTICE,
        "kind": None if kind is None else {"name": kind.name, "why": kind.why, "unit": kind.unit},
        "software": _software(),
        "models": [
            {
                "name": model.name,
                "sha256": model.sha256,
                "scale": model.scale,
                "purpose": model.purpose,
                "assumed_degradation": model.degradation,
            }
            for model in made.models
        ],
        "interpolation": made.interpolated,
        "options": dict(options),
        "input": {"files": _hashes(inputs), **_geometry(made.scan), "kspace": made.kspace},
        "output": {"files": _hashes(outputs), **_geometry(made.bigger)},
        "acquired": _acquired(made.acquisition),
        "made_smaller_by": _made_smaller(made.acquisition),
        "set_apart": made.apart._asdict(),
        "remarks": [without_folders(line, made.scan.path) for line in made.remarks],
        "compute": _compute(compute) if made.models else None,
        "seconds": {part: round(value, 3) for part, value in made.seconds.items()},
        "consistency": None
        if agreement is None
        else {**asdict(agreement), "convention": CONVENTION},
        "consistency_missing": missing,
        "out_of_range": [finding._asdict() for finding in made.findings],
        "intervals": _intervals(made),
    }


def _intervals(made: Made) -> dict[str, Any] | None:
    """What is known of the bounds beside an output; None where there are none."""
    if not made.beside:
        return None
    from iconet.network.interval import TAILS

    return {
        "files": [path.name for path in made.beside],
        "share": 1 - 2 * TAILS,
        "calibration": [
            {"model": model.name, "sha256": model.trust.sha256, "measured": model.trust.calibration}
            for model in made.models
            if model.trust is not None
        ],
    }


def _acquired(acquisition: Recovery | Step | None) -> dict[str, Any] | None:
    return acquisition.summary() if isinstance(acquisition, Recovery) else None


def _made_smaller(acquisition: Recovery | Step | None) -> str | None:
    return acquisition.way if isinstance(acquisition, Step) else None


def _software() -> dict[str, str]:
    import torch

    import iconet

    return {
        "iconet": iconet.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _compute(compute: Compute) -> dict[str, Any]:
    import torch

    cuda = compute.device.type == "cuda"
    return {
        "device": str(compute.device),
        "device_name": torch.cuda.get_device_name(compute.device) if cuda else None,
        "precision": compute.precision,
        "backend": compute.backend,
        "threads": cores(),
    }


def without_folders(line: str, path: Path | None) -> str:
    """What is said of a scan, without its name and place: people name folders after patients."""
    if path is None:
        return line
    said = line.removeprefix(f"{path}: ").replace(str(path), "the scan")
    above = str(path.parent)
    return said if above in (".", os.sep) else said.replace(above + os.sep, "")


def _hashes(paths: Iterable[Path]) -> list[dict[str, str]]:
    return [{"name": path.name, "sha256": sha256_of(path)} for path in paths]


def _geometry(scan: Scan) -> dict[str, Any]:
    from nibabel.orientations import aff2axcodes

    placed = scan.affine is not None
    return {
        "shape": list(scan.array.shape),
        "spacing": list(scan.spacing) if placed else None,
        "affine": scan.affine.tolist() if scan.affine is not None else None,
        "orientation": "".join(aff2axcodes(scan.affine)) if placed else None,
    }
