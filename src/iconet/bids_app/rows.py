"""A row of the group's table: what the report of one result says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, str]
NOTHING = "n/a"  # the word of BIDS
FEW = 8  # results; of fewer, none stands out
FENCE = 1.5  # Tukey's, in interquartile ranges

COLUMNS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "Participant"},
    "session_id": {"Description": "Session"},
    "source": {"Description": "Path of the scan in its dataset"},
    "image": {"Description": "Path of the result in this derivative"},
    "status": {
        "Description": "What happened to the scan",
        "Levels": {"made": "There is a result", "missing": "There is none: run participant again"},
    },
    "kind": {"Description": "What the scan was taken for"},
    "model": {"Description": "Networks that took part, in their order"},
    "weights": {"Description": "SHA-256 of their files, the first 12 digits of each"},
    "voxel_before": {"Description": "Size of the scan's voxels", "Units": "mm"},
    "voxel_after": {"Description": "Size of the result's voxels", "Units": "mm"},
    "consistency_psnr": {
        "Description": "The result, degraded again, compared with the scan",
        "Units": "dB",
    },
    "consistency_nmse": {"Description": "Of the same, squared difference over squares"},
    "consistency_mean_ratio": {"Description": "Of the same, ratio of the means; 1 is alike"},
    "findings": {
        "Description": "What to look at: what was recovered, interpolated, set apart or out of"
        f" range, and consistency below {FENCE} interquartile ranges under the first quartile of"
        " this table"
    },
    "seconds_read": {"Description": "To read the scan", "Units": "s"},
    "seconds_upscale": {"Description": "To upscale it", "Units": "s"},
    "seconds_write": {"Description": "To write the result", "Units": "s"},
    "device": {"Description": "Where the networks ran, in which precision and runtime"},
    "iconet": {"Description": "Version of iconet"},
    "created": {"Description": "When the result was made, UTC"},
}
"""What the columns mean, as in a sidecar of BIDS."""


def row_of(image: Path, derivative: Path, source: Path, report: Mapping[str, Any]) -> Row:
    """What a report says of a result.

    Args:
        image: The result.
        derivative: Root of the results.
        source: Of the scan, below the root of its dataset.
        report: As docs/report.md has it.
    """
    models = _part(report, "models", [])
    consistency = _part(report, "consistency", {})
    seconds, compute = _part(report, "seconds", {}), _part(report, "compute", {})
    where = [compute.get(name) for name in ("device", "precision", "backend")]
    found = {
        **_who(source),
        "image": image.relative_to(derivative).as_posix(),
        "status": "made",
        "kind": _part(report, "kind", {}).get("name"),
        "model": " + ".join(str(model.get("name")) for model in models),
        "weights": " + ".join(str(model.get("sha256"))[:12] for model in models),
        "voxel_before": _size(_part(report, "input", {})),
        "voxel_after": _size(_part(report, "output", {})),
        **{f"consistency_{name}": consistency.get(name) for name in ("psnr", "nmse", "mean_ratio")},
        "findings": "; ".join(_findings(report)),
        **{f"seconds_{name}": seconds.get(name) for name in ("read", "upscale", "write")},
        "device": " ".join(str(one) for one in where if one),
        "iconet": _part(report, "software", {}).get("iconet"),
        "created": report.get("created"),
    }
    return {name: _text(found.get(name)) for name in COLUMNS}


def missing_row(source: Path) -> Row:
    """Of a scan without a result."""
    found = {**_who(source), "status": "missing"}
    return {name: _text(found.get(name)) for name in COLUMNS}


def with_outliers(rows: Sequence[Row]) -> list[Row]:
    """Rows whose findings name a consistency far below that of the others."""
    column = "consistency_psnr"
    values = [float(row[column]) for row in rows if row[column] != NOTHING]
    if len(values) < FEW:
        return list(rows)
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    fence = low - FENCE * (high - low)
    said = f"consistency far below the median of {median:.1f} dB"
    return [
        {**row, "findings": said if row["findings"] == NOTHING else f"{row['findings']}; {said}"}
        if row[column] != NOTHING and float(row[column]) < fence
        else row
        for row in rows
    ]


def _who(source: Path) -> dict[str, str]:
    entities = dict(part.split("-", 1) for part in source.name.split("_") if "-" in part)
    who = {"participant_id": f"sub-{entities['sub']}", "source": source.as_posix()}
    return {**who, "session_id": f"ses-{entities['ses']}"} if "ses" in entities else who


def _findings(report: Mapping[str, Any]) -> list[str]:
    said = []
    if report.get("interpolation"):
        said.append(f"interpolated: {report['interpolation']}")
    if acquired := _part(report, "acquired", {}):
        matrix, stored = (
            "x".join(map(str, acquired.get(name) or [])) for name in ("matrix", "stored")
        )
        window = acquired.get("window")
        said.append(f"acquired {matrix} of {stored}" + (f", {window} undone" if window else ""))
    apart = _part(report, "set_apart", {})
    said += [
        f"{apart[name]} {name} voxels set apart" for name in ("nan", "wild") if apart.get(name)
    ]
    beyond = [str(each.get("what")) for each in _part(report, "out_of_range", [])]
    said += [f"out of range: {', '.join(beyond)}"] if beyond else []
    if report.get("consistency_missing"):
        said.append(f"no consistency: {report['consistency_missing']}")
    return said


def _part(report: Mapping[str, Any], name: str, empty: Any) -> Any:
    value = report.get(name)
    return value if isinstance(value, type(empty)) else empty


def _size(side: Mapping[str, Any]) -> str:
    return "x".join(f"{mm:.4g}" for mm in side.get("spacing") or [])


def _text(value: object) -> str:
    """A cell: on one line, without tabs."""
    if isinstance(value, float):
        value = f"{value:.6g}"
    return " ".join(str(value).split()) if value not in (None, "") else NOTHING
