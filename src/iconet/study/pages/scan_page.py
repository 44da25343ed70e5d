"""The page of one scan: what it was, what was made of it, and how well that holds."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from iconet.images import Scan
from iconet.pictures.png import inside
from iconet.study.pages.findings import findings
from iconet.study.pages.html import address, document, facts, listing, text
from iconet.study.pages.pictures import Pictures, Plane, Spectrum, draw

TILTED = 5
"""Degrees from which a plane is called oblique."""

SCRIPT = "swipe.js"

TOOLS = (
    '<label>Enlarge <input type="range" id="enlarge" min="1" max="8" step="0.5" value="1"></label>'
    " <small>around the pointer</small>"
    ' <label><input type="checkbox" id="voxels"> Voxels as they are</label>'
)

HOLDS = (
    "The result, degraded again, compared with the scan. Low numbers are a warning. High ones say"
    " that the result agrees with the measurement; they do not say that its detail is true."
)


def scan_page(
    title: str,
    before: Scan | None,
    after: Scan,
    report: Mapping[str, Any],
    *,
    index: PurePath | None = None,
) -> str:
    """Make the page.

    Args:
        title: name of the result.
        before: the scan as read; None of raw k-space.
        after: the result.
        report: as `iconet.study.report` makes it.
        index: the way to the index of the study, if there is one.

    Returns:
        HTML: one file with all pictures in it. It holds nothing of what a header says about a
        person.
    """
    pictures = draw(before, after, report)
    found = findings(report)
    link = "" if index is None else f'<a href="{address(index)}">All scans</a>'
    body = [
        f"<header>{link}<h1>{text(title)}</h1><p>{_summary(report)}</p>"
        f'<p class="notice">{text(report["notice"])}</p></header>',
        "<main>",
        "<section><h2>Findings</h2>",
        listing(found) if found else "<p>Nothing was left out, guessed or out of the ordinary.</p>",
        "</section>",
        _planes(pictures, after),
        _spectrum(pictures.spectrum, report),
        f"<section><h2>Consistency</h2><p>{HOLDS}</p>{_consistency(report)}</section>",
        f"<section><h2>Geometry</h2>{_geometry(report)}</section>",
        f"<section><h2>How it was made</h2>{_made(report)}</section>",
        "</main>",
    ]
    # The index of a study shows it too.
    icon = f'<link rel="icon" href="{inside(pictures.thumbnail)}">\n'
    return document(title, body, script=SCRIPT, head=icon)


def by(numbers: Sequence[float] | None, unit: str = "") -> str:
    """Such as "0.9 x 0.938 x 0.938 mm"."""
    if numbers is None:
        return "unknown"
    plain = (number if isinstance(number, int) else f"{number:.3g}" for number in numbers)
    return " &times; ".join(map(str, plain)) + (f" {unit}" if unit else "")


def models(report: Mapping[str, Any]) -> str:
    """The names of those that took part."""
    named = [str(model.get("name") or "weights of a user") for model in report.get("models") or ()]
    return " + ".join(named) or "interpolation, no network"


def _summary(report: Mapping[str, Any]) -> str:
    sides = report["input"], report["output"]
    grids = " &rarr; ".join(
        by(side["shape"]) + (f" of {by(side['spacing'], 'mm')}" if side["spacing"] else "")
        for side in sides
    )
    kind = (report.get("kind") or {}).get("name") or "raw k-space"
    return f"{text(kind)} &middot; {grids} &middot; {text(models(report))}"


def _planes(pictures: Pictures, after: Scan) -> str:
    window = pictures.window
    shown = (
        "Each colour is a label."
        if window is None
        else f"All in one grey window, from {window.low:.4g} to {window.high:.4g}."
    )
    if any(plane.view.sides for plane in pictures.planes):
        shown += " The patient's right is on the left."
    if after.array.ndim == 4:
        shown += f" The first of {after.array.shape[3]} volumes."
    how = (
        "Drag over a picture, or use its slider: arrow keys move it, Home and End show one side."
        if pictures.planes[0].before
        else "Raw k-space has no picture before."
    )
    return (
        f"<section><h2>Before and after</h2><p>{shown} {how}</p>"
        f'<p class="tools">{TOOLS}</p>' + "".join(map(_plane, pictures.planes)) + "</section>"
    )


def _plane(plane: Plane) -> str:
    name = plane.view.name.capitalize()
    tilt = f", oblique by {plane.tilt:.0f}&deg;" if plane.tilt >= TILTED else ""
    old, new = plane.slices
    where = f"slice {new + 1}" + (f", {old + 1} before" if old is not None and old != new else "")
    heading = f"<h3>{text(name)}{tilt} <small>{where}</small></h3>" if name else ""
    maps = "".join(
        f"<figure>{_frame(plane, map_.picture, None, map_.title)}"
        f"<figcaption><b>{text(map_.title)}</b>: {text(map_.legend)}</figcaption></figure>"
        for map_ in plane.maps
    )
    return f'<div class="plane">{heading}<div class="row">{_swipe(plane)}{maps}</div></div>'


def _swipe(plane: Plane) -> str:
    what = f"{plane.view.name or 'picture'}"
    if plane.before is None:
        frame = _frame(plane, plane.after, None, f"{what}, after")
        return f"<figure>{frame}<figcaption><b>After</b></figcaption></figure>"
    return (
        f'<figure class="swipe">{_frame(plane, plane.after, plane.before, what)}'
        '<figcaption><b>Before</b><input type="range" min="0" max="100" value="50"'
        f' aria-label="{text(what)}: how much of the scan before is shown, in per cent">'
        "<b>After</b></figcaption></figure>"
    )


def _frame(plane: Plane, picture: bytes, over: bytes | None, what: str) -> str:
    """A picture in its true proportions, with another one over it and letters at its sides."""
    height, width = plane.size
    images = f'<img src="{inside(picture)}" alt="{text(what)}{", after" if over else ""}">'
    if over is not None:
        before = f'<img src="{inside(over)}" alt="{text(what)}, before">'
        images += f'<div class="over">{before}</div><i></i>'
    letters = "".join(
        f'<span class="{side}">{letter}</span>'
        for side, letter in zip(("l", "r", "t", "b"), plane.view.sides or (), strict=False)
    )
    ratio = f"{width:.6g} / {height:.6g}"
    return f'<div class="frame" style="--ratio: {ratio}">{images}{letters}</div>'


def _spectrum(spectrum: Spectrum | None, report: Mapping[str, Any]) -> str:
    if spectrum is None:
        return ""
    acquired = report.get("acquired")
    said = "The power of the slices at each frequency, the lowest in the middle. "
    if spectrum.before is not None:
        said += "Dashed: what the stored matrix could hold."
    if acquired and spectrum.acquired:
        said += f" Solid: what was acquired, {by(acquired['matrix'])} of {by(acquired['stored'])}."
    if acquired and acquired["window"]:
        said += f" It was windowed ({text(acquired['window'])})."
    before = (
        f"<figure>{_squares(spectrum, spectrum.before, spectrum.stored, 'before')}"
        "<figcaption><b>Before</b></figcaption></figure>"
        if spectrum.before is not None
        else ""
    )
    return (
        f'<section><h2>Spectrum</h2><p>{said}</p><div class="row spectra">{before}'
        f"<figure>{_squares(spectrum, spectrum.after, (1.0, 1.0), 'after')}"
        "<figcaption><b>After</b></figcaption></figure></div></section>"
    )


def _squares(spectrum: Spectrum, picture: bytes, share: tuple[float, float], when: str) -> str:
    """A spectrum on the scale of the one after, with the matrices drawn in."""
    height, width = (1000 * side / max(spectrum.size) for side in spectrum.size)

    def box(share: tuple[float, float]) -> str:
        tall, wide = height * min(share[0], 1), width * min(share[1], 1)
        return (
            f'x="{(width - wide) / 2:.1f}" y="{(height - tall) / 2:.1f}"'
            f' width="{wide:.1f}" height="{tall:.1f}"'
        )

    drawn = f'<image href="{inside(picture)}" preserveAspectRatio="none" {box(share)}/>'
    if spectrum.before is not None:
        drawn += f'<rect class="stored" {box(spectrum.stored)}/>'
    if spectrum.acquired is not None:
        drawn += f'<rect class="acquired" {box(spectrum.acquired)}/>'
    return (
        f'<svg role="img" aria-label="spectrum {when}" viewBox="-4 -4 {width + 8:.1f}'
        f' {height + 8:.1f}">{drawn}</svg>'
    )


def _consistency(report: Mapping[str, Any]) -> str:
    found = report.get("consistency")
    if found is None:
        return f"<p>Not computed: {text(report.get('consistency_missing') or 'unknown')}.</p>"

    def number(name: str, unit: str, digits: int) -> str:
        value = found.get(name)
        return "not defined" if value is None else f"{value:.{digits}g}{unit}"

    exact = found.get("psnr") is None and found.get("nmse") == 0
    rows = {
        "PSNR": "exact" if exact else number("psnr", " dB", 4),
        "NMSE": number("nmse", "", 3),
        "Mean over the scan's mean": number("mean_ratio", "", 5),
        "Difference over the scan's noise": number("noise", "", 3) if "noise" in found else None,
        "Convention": text(found.get("convention") or ""),
    }
    return facts(rows)


def _geometry(report: Mapping[str, Any]) -> str:
    before, after = report["input"], report["output"]

    def field(side: Mapping[str, Any]) -> str:
        if side["spacing"] is None:
            return "unknown"
        lengths = zip(side["shape"], side["spacing"], strict=False)
        return by([count * mm for count, mm in lengths], "mm")

    def first(side: Mapping[str, Any]) -> str:
        affine = side["affine"]
        return "unknown" if affine is None else ", ".join(f"{row[3]:.5g}" for row in affine[:3])

    rows = {
        "Matrix": [by(side["shape"]) for side in (before, after)],
        "Voxels": [by(side["spacing"], "mm") for side in (before, after)],
        "Field of view": [field(side) for side in (before, after)],
        "Axes point to": [text(side["orientation"] or "unknown") for side in (before, after)],
        "First voxel (RAS+, mm)": [first(side) for side in (before, after)],
    }
    lines = "".join(
        f'<tr><th scope="row">{name}</th><td>{old}</td><td>{new}</td></tr>'
        for name, (old, new) in rows.items()
    )
    return (
        "<table><thead><tr><td></td><th>Before</th><th>After</th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _made(report: Mapping[str, Any]) -> str:
    kind, compute, software = (report.get(key) or {} for key in ("kind", "compute", "software"))
    seconds = report.get("seconds") or {}
    kspace = report["input"].get("kspace") or {}
    rows: dict[str, str | None] = {
        "Taken for": text(f"{kind['name']} ({kind['why']})") if kind else "raw k-space",
        "Coils": text(kspace["coils"]) if kspace else None,
        "Acceleration": f"{kspace['acceleration']:.2g}" if kspace else None,
        "Interpolation": text(report["interpolation"]) if report.get("interpolation") else None,
    }
    for index, model in enumerate(report.get("models") or (), start=1):
        name = "Model" if len(report["models"]) == 1 else f"Model {index}"
        rows[name] = (
            f"<b>{text(model['name'] or 'weights of a user')}</b>, {text(model['scale'])}x"
            + (f": {text(model['purpose'])}" if model["purpose"] else "")
            + f"<br><small>SHA-256 {text(model['sha256'] or 'unknown')}</small>"
        )
    rows |= {
        "Options": _options(report.get("options") or {}),
        "Computed": text(_computed(compute)) if compute else None,
        "Seconds": ", ".join(f"{text(part)} {value:.4g}" for part, value in seconds.items()),
        "Software": ", ".join(f"{text(name)} {text(value)}" for name, value in software.items()),
        "Made": text(report.get("created") or "unknown"),
    }
    return facts(rows)


def _options(options: Mapping[str, Any]) -> str | None:
    """What was asked for; the series may be named by what a header says."""
    given = {
        name: value
        for name, value in options.items()
        if value not in (None, False, "auto") and name != "series"
    }
    return ", ".join(f"{text(name)} {text(value)}" for name, value in given.items()) or None


def _computed(compute: Mapping[str, Any]) -> str:
    device = compute.get("device_name") or compute.get("device")
    threads = compute.get("threads")
    return f"{device}, {compute.get('precision')}, {compute.get('backend')}, {threads} threads"
