"""Units of length and time that headers name, in the millimetres and seconds of a `Scan`."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

MILLIMETRES = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns"), 1e-3),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-6),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
}
SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "\u00b5s", "microsecond", "microseconds"), 1e-6),
}
UNSAID = ("", "?", "unknown", "none", "???")


def millimetres(unit: str) -> float | None:
    """Of one unit of length by its name; a header that names none means mm; None: not a length."""
    unit = unit.strip().lower()
    return 1.0 if unit in UNSAID else MILLIMETRES.get(unit)


def seconds(unit: str) -> float | None:
    """Of one unit of time by its name; a header that names none means s; None: not a time."""
    unit = unit.strip().lower()
    return 1.0 if unit in UNSAID else SECONDS.get(unit)


def units_of(header: "Nifti1Header") -> tuple[str, str]:
    """Names of a NIfTI header's units of length and of its fourth axis; "unknown" for wrong codes.

    Its affines and spacings are in these, those of a `Scan` in millimetres.
    """
    try:
        length, time = header.get_xyzt_units()
    except KeyError:  # a code that the format does not have
        return "unknown", "unknown"
    return str(length), str(time)


def millimetres_of(header: "Nifti1Header") -> float:
    """Of one unit of length of a NIfTI header."""
    return millimetres(units_of(header)[0]) or 1.0


def seconds_of(header: "Nifti1Header") -> float:
    """Of one unit of the fourth axis of a NIfTI header; 0 if that is no time (Hz, ppm)."""
    return seconds(units_of(header)[1]) or 0.0


def in_millimetres(affine: np.ndarray, header: "Nifti1Header") -> np.ndarray:
    """An affine of a NIfTI header in millimetres, float64."""
    return np.array([[millimetres_of(header)]] * 3 + [[1.0]]) * affine


def in_unit_of(header: "Nifti1Header", affine: np.ndarray) -> np.ndarray:
    """An affine in millimetres in the unit of a NIfTI header."""
    return np.array([[1 / millimetres_of(header)]] * 3 + [[1.0]]) * affine
