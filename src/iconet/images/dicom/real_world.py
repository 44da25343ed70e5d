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
from iconet.images.dicom.encoding import Encoding
from iconet.images.dicom.source_header import cleaned, value_of

if TYPE_CHECKING:
    from pydicom import Dataset

SEQUENCE = "RealWorldValueMappingSequence"
DOUBLE_ENDS = (
    "DoubleFloatRealWorldValueFirstValueMapped",
    "DoubleFloatRealWorldValueLastValueMapped",
)
NO_UNITS = ("", "1", "[arb'U]", "{no units}")


@dataclass(frozen=True)
class Line:
    """From stored numbers to values.

    Attributes:
        slope: The value of one stored unit.
        intercept: The value of a stored 0.
    """

    slope: float
    intercept: float

    def after(self, source: "Line", encoding: Encoding) -> "Line":
        """The line with the same values on the numbers of a derived image.

        Args:
            source: The line by which the source's numbers became what the derived image holds.
            encoding: Of these in the derived image.
        """
        slope = self.slope / source.slope
        intercept = self.intercept - slope * source.intercept
        return Line(slope * encoding.slope, slope * encoding.intercept + intercept)


@dataclass(frozen=True)
class Mapping(Line):
    """A line to real-world values.

    Attributes:
        item: Of the sequence it is from.
    """

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


def describe_values(image: "Dataset", source: "Dataset", encoding: Encoding) -> bool:
    """Say what the numbers of a derived image mean, in every way in which its source said it.

    Both what a rescale and what a mapping gives stay what they were in the source. Windows of the
    source are in the values of its rescale.

    Args:
        image: Gets the mappings; and the rescale, where its values are not those that it holds.
        source: A classic header.
        encoding: Of the values in `image`, which are those that `read_series` gives.

    Returns:
        Whether the rescale was written.
    """
    from pydicom import DataElement
    from pydicom.valuerep import DSfloat

    rescale = Line(
        float(value_of(source, "RescaleSlope") or 1),
        float(value_of(source, "RescaleIntercept") or 0),
    )
    chosen = quantity(source, (), "")
    held = rescale if chosen is None else Line(chosen.slope, chosen.intercept)
    vr, low, high = ("SS", -(2**15), 2**15 - 1) if encoding.signed else ("US", 0, 2**16 - 1)
    items = []
    for mapping in mappings(source):
        item, line = cleaned(mapping.item), mapping.after(held, encoding)
        for keyword in DOUBLE_ENDS:
            if keyword in item:
                del item[keyword]
        item.add(DataElement("RealWorldValueFirstValueMapped", vr, low))
        item.add(DataElement("RealWorldValueLastValueMapped", vr, high))
        item.RealWorldValueSlope, item.RealWorldValueIntercept = line.slope, line.intercept
        items.append(item)
    if items:
        image.RealWorldValueMappingSequence = items
    if chosen is None:
        return False
    line = rescale.after(held, encoding)
    image.RescaleSlope = DSfloat(line.slope, auto_format=True)
    image.RescaleIntercept = DSfloat(line.intercept, auto_format=True)
    return True
