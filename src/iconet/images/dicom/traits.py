"""What may tell images at one place from each other: an echo, a b-value, a time, a phase.

Keywords are those of classic images and, behind the functional group that holds them, of enhanced
ones (PS3.3 C.8.13); b-values are also where Siemens and GE have them in private elements.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

Trait = float | str | tuple[float, ...]

SIEMENS_B, SIEMENS_DIRECTION, GE_B = 0x0019100C, 0x0019100E, 0x00431039
GE_OFFSET = 1_000_000_000  # which GE adds to b-values
PARTS = {
    **{"M": "magnitude", "MAGNITUDE": "magnitude", "P": "phase", "PHASE": "phase"},
    **{"PHASE MAP": "phase", "R": "real", "REAL": "real", "I": "imaginary"},
    "IMAGINARY": "imaginary",
}
"""Values of ImageType and ComplexImageComponent."""

SOURCES: dict[str, list[tuple[str, str | int]]] = {
    "echo time": [("MREchoSequence", "EffectiveEchoTime"), ("", "EchoTime")],
    "b-value": [
        ("MRDiffusionSequence", "DiffusionBValue"),
        ("", "DiffusionBValue"),
        ("", SIEMENS_B),
        ("", GE_B),
    ],
    "inversion time": [("", "InversionTime")],
    "flip angle": [("MRTimingAndRelatedParametersSequence", "FlipAngle"), ("", "FlipAngle")],
    "time point": [
        ("FrameContentSequence", "TemporalPositionIndex"),
        ("", "TemporalPositionIdentifier"),
    ],
    "trigger time": [
        ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
        ("", "NominalPercentageOfCardiacPhase"),
        ("", "TriggerTime"),
    ],
    "frame time": [("", "FrameReferenceTime")],
    "gradient": [
        ("MRDiffusionSequence/DiffusionGradientDirectionSequence", "DiffusionGradientOrientation"),
        ("", "DiffusionGradientOrientation"),
        ("", SIEMENS_DIRECTION),
    ],
    "echo": [("", "EchoNumbers")],
    "acquisition": [("FrameContentSequence", "FrameAcquisitionNumber"), ("", "AcquisitionNumber")],
}
"""Names of numbers, in the order in which they count, and where they are."""

ELEMENTS = [
    *(source for sources in SOURCES.values() for place, source in sources if not place),
    *("ComplexImageComponent", "ImageType", "InstanceNumber"),
]
"""Of classic headers."""


def traits_of(header: "Dataset", groups: "Sequence[Dataset]") -> dict[str, Trait]:
    """What a header, or one frame's functional groups, say; what is malformed says nothing.

    Args:
        header: Of the file.
        groups: The frame's, then the shared ones; of a classic image the header itself.
    """
    found: dict[str, Trait] = {}
    if (part := _part(header, groups)) is not None:
        found["part"] = part
    places = groups if groups[0] is header else [*groups, header]
    for name, sources in SOURCES.items():
        values = (_number(group, *source) for source in sources for group in places)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            found[name] = value
    return found


def _number(group: "Dataset", place: str, keyword: str | int) -> Trait | None:
    with suppress(Exception):  # whatever malformed values make pydicom raise
        for sequence in filter(None, place.split("/")):
            group = group[sequence].value[0]
        value = group[keyword].value
        if isinstance(value, bytes):  # private, in files of implicit value representations
            value = [float(part) for part in value.decode("ascii").split("\\")]
        if isinstance(value, str):
            value = float(value)
        if keyword == GE_B and not isinstance(value, float | int):
            value = value[0]
        if isinstance(value, float | int):
            number = float(value)
            return number % GE_OFFSET if keyword == GE_B else _finite(number)
        numbers = tuple(float(part) for part in value)
        if len(numbers) == 1:
            return _finite(numbers[0])
        return numbers if numbers and all(map(math.isfinite, numbers)) else None
    return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _part(header: "Dataset", groups: "Sequence[Dataset]") -> str | None:
    """Of complex images."""
    with suppress(Exception):
        for group in (*groups, header):
            frame = group.get("MRImageFrameTypeSequence")
            for place in (frame[0] if frame else None, group):
                if place is None:
                    continue
                said = [place.get("ComplexImageComponent")]
                types = place.get("FrameType") or place.get("ImageType") or []
                said += [] if isinstance(types, str) else list(types)[2:]
                for value in said:
                    if str(value).upper() in PARTS:
                        return PARTS[str(value).upper()]
    return None
