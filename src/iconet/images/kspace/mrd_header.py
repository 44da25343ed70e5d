"""The XML header of the ISMRM raw data format, which fastMRI's files hold too.

Names are those of the format's schema, https://ismrmrd.readthedocs.io (Inati et al., Magnetic
Resonance in Medicine 77:411-421, 2017).
"""

from typing import NamedTuple
from xml.etree import ElementTree

NAMESPACE = {"m": "http://www.ismrm.org/ISMRMRD"}


class Space(NamedTuple):
    """A matrix and what it covers, as (readout x, phase y, slice z).

    Attributes:
        matrix: Voxels along each axis.
        field_of_view: Millimetres along each axis.
    """

    matrix: tuple[int, int, int]
    field_of_view: tuple[float, float, float]


class Header(NamedTuple):
    """What the header says of one acquisition and of the image made from it.

    Attributes:
        encoded: What was measured, oversampling included.
        recon: What the image is to show.
        trajectory: ``cartesian``, ``epi``, ``radial``, ...
        centre: Number of the line and of the partition through the centre of k-space; None where
            the header is silent.
        calibration: Where lines for parallel imaging belong: ``embedded``, ``separate``, ...;
            empty where the header is silent.
    """

    encoded: Space
    recon: Space
    trajectory: str
    centre: tuple[int | None, int | None]
    calibration: str


def parse_header(content: bytes | str, encoding: int = 0) -> Header:
    """Read a header.

    Args:
        content: XML.
        encoding: Number of the encoding, from 0, where there are several.

    Raises:
        ValueError: What is missing or impossible (`xml.etree`'s ParseError is no ValueError).
        TypeError: Content is not text.
    """
    root = ElementTree.fromstring(content)
    encodings = root.findall("m:encoding", NAMESPACE)
    if encoding >= max(len(encodings), 1):
        raise ValueError(f"no encoding {encoding}")
    # Without any, the first value asked for is what is said to be missing.
    chosen = encodings[encoding] if encodings else root
    return Header(
        encoded=_space(chosen, "encodedSpace"),
        recon=_space(chosen, "reconSpace"),
        trajectory=(chosen.findtext("m:trajectory", "", NAMESPACE)).strip(),
        centre=(_centre(chosen, 1), _centre(chosen, 2)),
        calibration=chosen.findtext("m:parallelImaging/m:calibrationMode", "", NAMESPACE).strip(),
    )


def _space(encoding: ElementTree.Element, name: str) -> Space:
    def number(part: str, axis: str) -> float:
        found = encoding.findtext(f"m:{name}/m:{part}/m:{axis}", namespaces=NAMESPACE)
        if found is None:
            raise ValueError(f"no {name}/{part}/{axis}")
        value = float(found)
        if not 0 < value < 1e6:
            raise ValueError(f"{name}/{part}/{axis} is {found}")
        return value

    x, y, z = (int(number("matrixSize", axis)) for axis in "xyz")
    across, along, through = (number("fieldOfView_mm", axis) for axis in "xyz")
    if min(x, y, z) < 1:
        raise ValueError(f"{name}/matrixSize is {x} x {y} x {z}")
    return Space((x, y, z), (across, along, through))


def _centre(encoding: ElementTree.Element, step: int) -> int | None:
    place = f"m:encodingLimits/m:kspace_encoding_step_{step}/m:center"
    found = encoding.findtext(place, namespaces=NAMESPACE)
    return None if found is None else int(found)
