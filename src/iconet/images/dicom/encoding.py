"""Real-world values as the 16-bit integers of a DICOM image, with a slope and an intercept."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

# Rounding to steps of which the range holds half as many is off by less than 1/4000 of it.
STEPS = 4096
# An intercept is rounded to whole steps: one of the 2**16 is left for that.
MOST_STEPS = 2**16 - 2
PET_LARGEST = 2**15 - 1


@dataclass(frozen=True)
class Encoding:
    """How real-world values become 16-bit integers: value = stored * slope + intercept."""

    slope: float
    intercept: float
    signed: bool

    def restored(self, values: np.ndarray) -> np.ndarray:
        """What readers get of values."""
        return self.store(values) * self.slope + self.intercept

    def store(self, values: np.ndarray, rounding: np.ufunc = np.rint) -> np.ndarray:
        """The nearest integers, or those below or above, saturated; int16 or uint16."""
        dtype = np.dtype("<i2" if self.signed else "<u2")
        limits = np.iinfo(dtype)
        steps = rounding((values.astype(np.float64) - self.intercept) / self.slope)
        return np.clip(steps, limits.min, limits.max).astype(dtype)


def encoding_of(low: float, high: float) -> Encoding:
    """Integers for values from `low` to `high`: steps of 1 if these will do, else a power of two.

    The usual powers of two have an exact decimal string.
    """
    span = high - low
    slope = 1.0
    if not span and not low.is_integer():
        return Encoding(slope, _decimal(low), signed=False)
    if span and not STEPS / 2 < span < MOST_STEPS:
        slope = _decimal(2.0 ** math.floor(math.log2(span / STEPS)))
    first, last = low / slope, high / slope
    if first >= 0 and last <= 2**16 - 1:
        return Encoding(slope, 0.0, signed=False)
    if first >= -(2**15) and last <= 2**15 - 1:
        return Encoding(slope, 0.0, signed=True)
    return Encoding(slope, _decimal(math.floor(first) * slope), signed=False)


def pet_encoding(plane: np.ndarray, volume: np.ndarray) -> Encoding:
    """A PET image's own slope: the standard asks for 16 bits and an intercept of 0."""
    largest = float(np.abs(plane).max())
    if not largest:
        # Not 1: readers take the series' type from its first slice, and 1 would mean integers.
        largest = max(abs(float(volume.min())), abs(float(volume.max()))) or 1.0
    return Encoding(_decimal(largest / PET_LARGEST), 0.0, signed=True)


def add_pixels(
    image: "Dataset", plane: np.ndarray, encoding: Encoding, rounding: np.ufunc = np.rint
) -> None:
    """Stores the values of one slice, (rows, columns), with what describes the stored numbers."""
    from pydicom import DataElement

    stored = encoding.store(plane, rounding)
    image.SamplesPerPixel = 1
    # Of a source in MONOCHROME1 too, whose values `read_series` does not invert: ITK would invert
    # ours, without a word, and a picture shown light for dark is seen.
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = int(encoding.signed)
    vr = "SS" if encoding.signed else "US"
    image.add(DataElement("SmallestImagePixelValue", vr, int(stored.min())))
    image.add(DataElement("LargestImagePixelValue", vr, int(stored.max())))
    image.add_new("PixelData", "OW", stored.tobytes())


def _decimal(value: float) -> float:
    """The number that a decimal string of 16 characters says."""
    from pydicom.valuerep import format_number_as_ds

    return float(format_number_as_ds(value))
