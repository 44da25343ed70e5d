"""What a header, or the JSON file beside an image, says of the image's kind."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from iconet.images import bids
from iconet.images.dicom.real_world import mappings
from iconet.images.dicom.source_header import value_of
from iconet.images.kind.kinds import (
    CT,
    IMAGINARY,
    LABELS,
    MAP,
    MR,
    PET,
    PHASE,
    PROBABILITIES,
    REAL,
    Kind,
)
from iconet.images.reading import NIFTI

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from pydicom import Dataset

MODALITIES = {"MR": MR, "CT": CT, "PT": PET}
COMPONENTS = {
    **dict.fromkeys(("P", "PHASE", "PHASE MAP", "PHASE_MAP", "VELOCITY MAP"), PHASE),
    **{"R": REAL, "REAL": REAL, "I": IMAGINARY, "IMAGINARY": IMAGINARY},
}
"""Of DICOM's Image Type from value 3 on, of Frame Type, and Complex Image Component."""
MAP_TYPES = re.compile(r"(?:.*[ _])?(?:MAP|ADC|FA|RCBV|RCBF|RELCBV|RELCBF|MTT|TTP)")
GE_CREATOR, GE_IMAGE_TYPE = (0x0043, 0x0010), (0x0043, 0x102F)
GE_TYPES = {1: PHASE, 2: REAL, 3: IMAGINARY}
INTENTS = {1002: LABELS, 1003: LABELS, 1001: MAP, **dict.fromkeys(range(2, 25), MAP)}
"""NIfTI's label and NeuroNames; estimates and statistics."""
UNITS = {32: "Hz", 40: "ppm", 48: "rad/s"}
"""NIfTI's units of a fourth axis, by which field maps without one say theirs."""
DESCRIPTIONS = (
    (re.compile(r"tissue class \d", re.IGNORECASE), PROBABILITIES),  # SPM's c1, c2, ...
    (re.compile(r"^(?!.*unwrap).*\b(?:phase (?:map|image)|wrapped phase)\b", re.IGNORECASE), PHASE),
)


def by_dicom(headers: "Sequence[Dataset]") -> Kind | None:
    """The kind of a series; None for a modality that is none of ours."""
    header = headers[0]
    modality = MODALITIES.get(str(header.get("Modality")))
    if modality is None:
        return None
    if modality != MR:
        return Kind(modality, f"Modality {header.get('Modality')}")
    types = _types(header)
    for kind in (PHASE, REAL, IMAGINARY):
        for type_ in types:
            if COMPONENTS.get(type_) == kind:
                return Kind(kind, f"Image Type {type_}")
    if value_of(header, GE_CREATOR) == "GEMS_PARM_01":
        number = value_of(header, GE_IMAGE_TYPE)
        if number in GE_TYPES:
            return Kind(GE_TYPES[number], "GE's Image Type (0043,102F)")
    units = [mapping.unit for mapping in mappings(header, _groups(header)) if mapping.unit]
    if units:
        return Kind(MAP, "Real World Value Mapping", unit=units[0])
    for type_ in types:
        if MAP_TYPES.fullmatch(type_):
            return Kind(MAP, f"Image Type {type_}")
    return Kind(MR, "Modality MR")


def _groups(header: "Dataset") -> "list[Dataset]":
    """Functional groups of the first frame, then the shared ones."""
    found = []
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        found += list(value_of(header, keyword) or ())[:1]
    return found


def _types(header: "Dataset") -> list[str]:
    """What Image Type, Frame Type and Complex Image Component say, the first two aside."""
    types = _values(header, "ImageType")[2:] + _values(header, "ComplexImageComponent")
    for group in _groups(header):
        for item in value_of(group, "MRImageFrameTypeSequence") or ():
            types += _values(item, "FrameType")[2:] + _values(item, "ComplexImageComponent")
    return types


def _values(header: "Dataset", keyword: str) -> list[str]:
    value = value_of(header, keyword)
    if value is None:
        return []
    return [value.upper()] if isinstance(value, str) else [str(part).upper() for part in value]


def by_nifti(header: "Nifti1Header") -> Kind | None:
    """By the intent, the units and the description of a NIfTI header; None where none tells."""
    intent = int(header["intent_code"])
    if intent in INTENTS:
        return Kind(INTENTS[intent], f"NIfTI intent {header.get_intent('label')[0]}")
    text = bytes(header["descrip"]).rstrip(b"\0").decode("latin-1")
    for pattern, kind in DESCRIPTIONS:
        if pattern.search(text):
            return Kind(kind, "its NIfTI description")
    unit = UNITS.get(int(header["xyzt_units"]) & 0x38)
    if unit is not None and len(header.get_data_shape()) == 3:
        return Kind(MAP, f"NIfTI units {unit}", unit=unit)
    return None


def by_segments(keywords: Mapping[str, str]) -> Kind | None:
    """By the segments that 3D Slicer lists in a NRRD header; None without any."""
    count = sum(bool(re.fullmatch(r"Segment\d+_ID", key)) for key in keywords)
    return Kind(LABELS, f"Segment0_ID and {count} segments") if count else None


def by_sidecar(path: Path) -> tuple[Kind | None, Kind | None]:
    """What the JSON file beside a NIfTI file, by dcm2niix or of BIDS, says of its image.

    Returns:
        The part of a complex image that it is, and its modality; None where it does not say.
    """
    if not path.name.lower().endswith(NIFTI):
        return None, None
    said = bids.sidecar_of(path)
    types = said.get("ImageType")
    types = [str(t).upper() for t in types[2:]] if isinstance(types, list) else []
    types.append(str(said.get("ComplexImageComponent", "")).upper())
    component = next((COMPONENTS[t] for t in types if t in COMPONENTS), None)
    modality = MODALITIES.get(str(said.get("Modality")))
    why = f"its {bids.sidecar(path).name}"
    return (
        None if component is None else Kind(component, why),
        None if modality is None else Kind(modality, why),
    )
