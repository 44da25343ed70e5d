"""The volumes in one series: echoes, b-values, phases or times, all at the same places.

What tells the images at one place from each other must be the same at all places, as an echo time
is, or it has to give an order at each, as instance numbers do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom.planes import COINCIDE, Plane
from iconet.images.dicom.traits import SOURCES, Trait

MOST_LISTED = 20  # volumes in a line
UNITS = {"echo time": " ms", "inversion time": " ms", "trigger time": " ms", "frame time": " ms"}
SAME = 1e-6  # of two traits


@dataclass(frozen=True)
class Volume:
    """One of them.

    Attributes:
        planes: Its slices, one at every place.
        label: What it is, such as "echo time 20 ms"; empty if it is the only one.
        part: "magnitude", "phase", "real" or "imaginary", where it is told from others by that.
    """

    planes: list[Plane]
    label: str = ""
    part: str = ""


def volumes_of(planes: Sequence[Plane], name: str) -> list[Volume]:
    """Takes a series apart; a series of one slice a place is one volume.

    Args:
        planes: Of slices that are alike, in any order.
        name: What error messages call the series.

    Raises:
        InputError: Not as many images at all places, or nothing tells them from each other.
    """
    places = _places(planes)
    counts = sorted({len(place) for place in places})
    if counts == [1]:
        return [Volume(list(planes))]
    said = f"{name}: {len(planes)} slices at {len(places)} positions"
    if len(counts) > 1:
        raise InputError(
            f"{said}, {counts[0]} at one and {counts[-1]} at another; a volume is incomplete, or"
            " images are there twice: export one volume alone"
        )
    telling = [trait for trait in ("part", *SOURCES) if _tells(trait, places)]
    keys = [[_key(plane, telling) for plane in place] for place in places]
    if len(set(keys[0])) < counts[0]:  # they need an order at each place
        orders = [[plane.number for plane in place] for place in places]
        if any(None in order or len(set(order)) < len(order) for order in orders):
            raise InputError(
                f"{said}, which nothing in their headers tells apart (copies?); export one volume"
                " alone"
            )
    stacks = [
        [plane for _, plane in sorted(zip(own, place, strict=True), key=_by_key_and_number)]
        for own, place in zip(keys, places, strict=True)
    ]
    return [
        Volume(list(stack), _label(stack[0], telling), _part(stack[0], telling))
        for stack in zip(*stacks, strict=True)
    ]


def listed(volumes: Sequence[Volume]) -> str:
    """Numbers and labels, such as "1 (echo time 20 ms), 2 (echo time 80 ms)"."""
    parts = [
        f"{number} ({volume.label})" if volume.label else str(number)
        for number, volume in enumerate(volumes[:MOST_LISTED], 1)
    ]
    rest = len(volumes) - MOST_LISTED
    return ", ".join(parts) + (f" and {rest} more" if rest > 0 else "")


def _places(planes: Sequence[Plane]) -> list[list[Plane]]:
    """The slices at each position along the normal of the first."""
    normal = planes[0].normal
    sorted_planes = sorted(planes, key=lambda plane: float(plane.position @ normal))
    heights = [float(plane.position @ normal) for plane in sorted_planes]
    places = [[sorted_planes[0]]]
    for plane, gap in zip(sorted_planes[1:], np.diff(heights), strict=True):
        if gap >= COINCIDE:
            places.append([])
        places[-1].append(plane)
    return places


def _tells(trait: str, places: Sequence[Sequence[Plane]]) -> bool:
    """Whether a trait differs at every place in the same way."""
    found = {tuple(sorted(_value(plane, trait) for plane in place)) for place in places}
    return len(found) == 1 and len(set(next(iter(found)))) > 1


def _value(plane: Plane, trait: str) -> tuple[float, ...] | tuple[str]:
    """To be compared; headers round."""
    value: Trait | None = plane.traits.get(trait)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    numbers = value if isinstance(value, tuple) else (value,)
    return tuple(round(number / SAME) * SAME for number in numbers)


def _key(plane: Plane, telling: Sequence[str]) -> tuple:
    return tuple(_value(plane, trait) for trait in telling)


def _by_key_and_number(pair: tuple[tuple, Plane]) -> tuple:
    key, plane = pair
    return key, plane.number or 0


def _label(plane: Plane, telling: Sequence[str]) -> str:
    said = []
    for trait in telling:
        value = plane.traits.get(trait)
        if isinstance(value, str):
            said.append(value)
        elif isinstance(value, float) and not (trait == "echo" and "echo time" in telling):
            said.append(f"{trait} {value:g}{UNITS.get(trait, '')}")
    return ", ".join(said)


def _part(plane: Plane, telling: Sequence[str]) -> str:
    return str(plane.traits["part"]) if "part" in telling and "part" in plane.traits else ""
