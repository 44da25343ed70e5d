"""What the stored numbers of a DICOM image mean: its rescale, or a mapping to real-world values.

A Real World Value Mapping (PS3.3 C.7.6.16.2.11) gives the stored numbers, not the rescaled ones,
their values in a unit. Quantitative MR (T1, ADC, velocities) is in these units; the rescale of
the same image may be anything. CT and PET are in theirs by the rescale already, and a mapping
there leads elsewhere, such as from Bq/ml to uptake values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from iconet.errors import InputError
from iconet.images.dicom.source_header import value_of

if TYPE_CHECKING:
    from pydicom import Dataset

SEQUENCE = "RealWorldValueMappingSequence"
NO_UNITS = ("", "1", "[arb'U]", "{no units}")


@dataclass(frozen=True)
class Mapping:
    """A line from stored numbers to values.

    Attributes:
        slope: The value of one stored unit.
        intercept: The value of a stored 0.
        item: Of the sequence it is from.
    """

    slope: float
    intercept: float
    item: "Dataset"

    @property
    def unit(self) -> str:
        """As UCUM writes it, such as "ms" or "um2/s"; empty for none."""
        codes = value_of(self.item, "MeasurementUnitsCodeSequence")
        code = str(value_of(codes[0], "CodeValue") or "") if codes else ""
        return "" if code in NO_UNITS else code


def mappings(header: "Dataset", groups: "Sequence[Dataset]" = ()) -> list[Mapping]:
    """The linear mappings of an image, from its functional groups or its header.

    Args:
        header: Classic, or that of a multi-frame image.
        groups: Of a frame, then the shared ones.
    """
    for place in (*groups, header):
        found = []
        for item in value_of(place, SEQUENCE) or ():
            slope = value_of(item, "RealWorldValueSlope")
            intercept = value_of(item, "RealWorldValueIntercept") or 0.0
            if isinstance(slope, float) and slope and isfinite(slope) and isfinite(intercept):
                found.append(Mapping(slope, float(intercept), item))
        if found:
            return found
    return []


def quantity(header: "Dataset", groups: "Sequence[Dataset]", name: str) -> Mapping | None:
    """The mapping whose values an image is read in; None where those of its rescale are.

    Args:
        header: As of `mappings`.
        groups: See there.
        name: Of the file, for messages.

    Raises:
        InputError: Values that go through a lookup table, or several units to choose from.
    """
    if header.get("Modality") != "MR":
        return None
    items = [i for place in (*groups, header) for i in value_of(place, SEQUENCE) or ()]
    if any(value_of(item, "RealWorldValueLUTData") is not None for item in items):
        raise InputError(
            f"{name}: its values go through a lookup table (Real World Value Mapping); export it"
            " with a slope"
        )
    found = [mapping for mapping in mappings(header, groups) if mapping.unit]
    if len({mapping.unit for mapping in found}) > 1:
        units = ", ".join(mapping.unit for mapping in found)
        raise InputError(
            f"{name}: maps to real-world values in several units ({units}); export one of them"
        )
    return found[0] if found else None
