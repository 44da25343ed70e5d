"""What was done to a scan, with what and how well it holds: the JSON report beside an output.

The schema is in docs/report.md. A report has no patient data of its own: file names without their
folders, hashes, geometry and numbers.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.files import sha256_of
from iconet.images import Scan
from iconet.runtime.device import Compute
from iconet.upscaling.input_consistency import consistency
from iconet.upscaling.models import weights_of

if TYPE_CHECKING:
    from iconet.network import ICONet

SCHEMA_VERSION = 1
NOTICE = "Research use, not for diagnosis: a network adds detail that is likely, not measured."
CONVENTION = (
    "output before rounding to its stored type, k-space cropped to the input's grid, against the"
    " input; all voxels; data range: the input's maximum"
)
OTHER_FIELD = "the output has another field of view, or fewer voxels along an axis, than the input"
OF_KSPACE = "the input is k-space, not an image"


def make_report(
    scan: Scan,
    bigger: Scan,
    *,
    inputs: Iterable[Path],
    outputs: Iterable[Path],
    networks: Sequence[ICONet],
    compute: Compute,
    options: Mapping[str, Any],
    seconds: Mapping[str, float],
    kspace: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything a reader needs to judge and repeat what was done.

    Args:
        scan: the scan as read; of raw k-space only its grid.
        bigger: the scan as written.
        inputs: the files it was read from.
        outputs: the files it was written to, complete.
        networks: that took part, with the metadata of their files of weights.
        compute: where it ran.
        options: that change the result, as they were given.
        seconds: how long each part took.
        kspace: coils and acceleration, if raw k-space is what was read.

    Returns:
        What `docs/report.md` describes; it holds nothing but what JSON can.
    """
    import torch

    import iconet

    cuda = compute.device.type == "cuda"
    agreement = None if kspace else consistency(scan, bigger)
    missing = OF_KSPACE if kspace else OTHER_FIELD if agreement is None else None
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "notice": NOTICE,
        "software": {
            "iconet": iconet.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "models": [_model(network) for network in networks],
        "options": dict(options),
        "input": {"files": _hashes(inputs), **_geometry(scan), "kspace": kspace},
        "output": {"files": _hashes(outputs), **_geometry(bigger)},
        "compute": {
            "device": str(compute.device),
            "device_name": torch.cuda.get_device_name(compute.device) if cuda else None,
            "precision": compute.precision,
            "backend": compute.backend,
            "threads": torch.get_num_threads(),
        },
        "seconds": {part: round(value, 3) for part, value in seconds.items()},
        "consistency": None
        if agreement is None
        else {**asdict(agreement), "convention": CONVENTION},
        "consistency_missing": missing,
    }


def _model(network: ICONet) -> dict[str, Any]:
    metadata = getattr(network, "metadata", {})
    return {
        "name": metadata.get("name"),
        "sha256": weights_of(network),
        "scale": network.scale,
        "purpose": metadata.get("purpose"),
        "assumed_degradation": _assumed(metadata),
    }


def _assumed(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """What low-resolution images were in training; None where the file of weights does not say."""
    try:
        recipe = json.loads(metadata["recipe"])
        thick = recipe.get("task", {}).get("kind") == "through-plane"
        degradation = recipe["slice_profile" if thick else "degradation"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return degradation if isinstance(degradation, dict) else None


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


def files_of(path: str | os.PathLike[str], scan: Scan | None = None) -> list[Path]:
    """The files a scan may lie in.

    One, two with a detached header, or all those below a folder or beside a DICOMDIR.
    """
    path = Path(path)
    if path.is_dir() or path.name.upper() == "DICOMDIR":
        folder = path if path.is_dir() else path.parent
        return sorted(file for file in folder.rglob("*") if file.is_file())
    beside = None if scan is None else scan.data_path
    return [path] if beside is None else [path, beside]


def read_from(path: str | os.PathLike[str], scan: Scan) -> list[Path]:
    """The files a scan was read from: as `files_of`, but of a DICOM series only its own."""
    names = [getattr(header, "filename", None) for header in scan.dicom]
    images = [Path(name) for name in dict.fromkeys(names) if isinstance(name, str | os.PathLike)]
    return images or files_of(path, scan)


def written_files(path: Path) -> list[Path]:
    """The files that hold the voxels of an output: one, two with a detached header, or a folder."""
    from iconet.images.text_headers.layout import DETACHED, raw_name

    detached = path.suffix.lower() in DETACHED
    return [path, raw_name(path)] if detached else files_of(path)
