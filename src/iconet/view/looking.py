"""The process that reads scans and draws layers, so that broken files end nothing else."""

import math
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.images import Scan, read
from iconet.images.dicom.derived import check_series
from iconet.images.dicom.series import FoundSeries, list_series
from iconet.images.kind import kind_of
from iconet.images.kspace.read_kspace import is_kspace_file, read_kspace
from iconet.images.reading import holds_dicom
from iconet.study.beside import LOWER, UPPER
from iconet.study.folder import contents, named
from iconet.view.layers import LAYERS, Looked, draw, layers_of
from iconet.view.process import Telling
from iconet.view.tasks import FIRST, Draw, Drawn, Find, Found, Look, Made, Refused, Seen


class Looking:
    """Works on one task after the other; keeps what it read last."""

    def __init__(self, telling: Telling) -> None:
        self._held: dict[object, Scan] = {}

    def __call__(self, task: Find | Look | Draw) -> Found | Seen | Drawn | Refused:
        """Whatever goes wrong is an answer."""
        try:
            if isinstance(task, Find):
                return _find(task)
            return self._look(task) if isinstance(task, Look) else self._draw(task)
        except Exception as error:
            return Refused.by(error)

    def _look(self, look: Look) -> Seen:
        if is_kspace_file(look.source):
            return _seen_kspace(look.source)
        series = _series(look)
        usable = [one for one in series if one.refused is None]
        chosen = str(look.options.series or "") or (usable[0].uid if len(usable) == 1 else "")
        listed = [{"uid": s.uid, "title": s.title, "refused": s.refused} for s in series]
        if len(usable) > 1 and not chosen:
            return Seen({"series": listed, "chosen": None})
        scan = self._read(look)
        kind = kind_of(scan, look.options.kind)
        looked = Looked(scan, named=kind.labels)
        about = draw(LAYERS[0], looked, look.pictures / FIRST)
        facts = {
            "series": listed,
            "chosen": chosen,
            "geometry": geometry(scan),
            "kind": {"name": kind.name, "noun": kind.noun, "why": kind.why, "unit": kind.unit},
            "remarks": [*scan.remarks],
            "layers": [layer.description() for layer in layers_of(looked)],
        }
        return Seen(facts, about, not kind.labels and _derivable(scan), scan.affine is not None)

    def _draw(self, task: Draw) -> Drawn:
        layer = next(layer for layer in LAYERS if layer.key == task.key)
        return Drawn(draw(layer, self._looked(task.look, task.made, task.volume), task.path))

    def _looked(self, look: Look, made: Made | None, volume: int) -> Looked:
        scan = None if is_kspace_file(look.source) else self._read(look)
        if made is None:
            return Looked(scan, volume=volume)
        result = self._kept(made.files["image"], lambda: read(made.files["image"]))
        paths = [made.files[what] for what in (LOWER, UPPER) if what in made.files]

        def bounds() -> tuple[Scan, Scan]:
            lower, upper = (read(path) for path in paths)
            return lower, upper

        about = made.acquisition, made.network, made.named, volume
        return Looked(scan, result, *about, bounds if paths else None)

    def _read(self, look: Look) -> Scan:
        o = look.options
        chosen = {"series": o.series, "volume": o.volume, "allow_missing": o.allow_missing}

        def reading() -> Scan:
            return read(look.source, **chosen)  # type: ignore[arg-type]

        return self._kept((look.source, *chosen.values()), reading)

    def _kept(self, key: object, make: Any) -> Scan:
        if key not in self._held:
            # A scan and its result at most.
            self._held = dict([*self._held.items()][-1:])
            self._held[key] = make()
        return self._held[key]


def geometry(scan: Scan) -> dict[str, Any]:
    """What the page says of a grid."""
    from nibabel.orientations import aff2axcodes

    placed = scan.affine is not None
    return {
        "shape": list(scan.array.shape[:3]),
        "volumes": math.prod(scan.array.shape[3:]),
        "spacing": [round(mm, 4) for mm in scan.spacing] if placed else None,
        "axes": "".join(aff2axcodes(scan.affine)) if placed else None,
        "type": str(scan.dtype),
    }


def _find(task: Find) -> Found:
    found = contents(task.folder, task.results)
    scans = (*found.scans, *found.series)
    left = named(found.left_out, task.folder) if found.left_out else ""
    if not scans:
        raise InputError(
            f"{task.folder}: no scan in this folder" + (f"; {left}" if left else "; name another")
        )
    return Found(scans, left)


def _series(look: Look) -> list[FoundSeries]:
    """All series at a place of DICOM; none at others."""
    return list_series(look.source) if holds_dicom(look.source) else []


def _derivable(scan: Scan) -> bool:
    if not scan.dicom:
        return False
    try:
        check_series(scan, scan.dicom, Path(scan.name).parent / "derived")
    except InputError:
        return False
    return True


def _seen_kspace(path: Path) -> Seen:
    raw = read_kspace(path)
    grid = {
        "shape": [*raw.shown, raw.slices],
        "volumes": 1,
        "spacing": None,
        "axes": None,
        "type": "complex",
    }
    return Seen(
        {
            "series": [],
            "chosen": "",
            "geometry": grid,
            "kind": {
                "name": "k-space",
                "noun": "raw k-space",
                "why": f"{raw.coils} coils",
                "unit": "",
            },
            "remarks": [*raw.remarks],
            "layers": [],
        }
    )
