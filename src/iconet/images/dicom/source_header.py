"""The header of a source image: read in spite of malformed values, and what of it stays true.

Whatever described the source's pixels or files, and not the patient, the examination or the
scanner's settings, is dropped: a derived image has its own.
"""

import copy
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import DataElement, Dataset

# Group 0028 describes the pixels: all of it goes but what stays true of a derived image.
KEPT_OF_PIXELS = (
    *("CorrectedImage", "QualityControlImage", "BurnedInAnnotation"),
    *("RecognizableVisualFeatures", "LongitudinalTemporalInformationModified"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
# Files and media (0002, 0004, FFFA signatures), overlays, curves and pixels themselves, encrypted
# and original attributes (0400), icons and storage (0088), presentation (2050), data set padding.
DROPPED_GROUPS = {0x0002, 0x0004, 0x0028, 0x0088, 0x0400, 0x2050, 0x4FFE, 0x7FE0, 0xFFFA, 0xFFFC}
DROPPED = {
    # Of the source's instances and of the step that made them
    *("SOPInstanceUID", "InstanceCreatorUID", "InstanceNumber", "ImagesInAcquisition"),
    *("OriginalSpecializedSOPClassUID", "RelatedGeneralSOPClassUID", "SourceImageSequence"),
    *("RetrieveAETitle", "InstanceAvailability", "QueryRetrieveLevel"),
    *("ReferencedPerformedProcedureStepSequence", "NumberOfStudyRelatedSeries"),
    *("NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"),
    *("DerivationDescription", "DerivationCodeSequence"),
    # Of its grid; readers take the mosaics of Siemens from the acquisition matrix
    *("GantryDetectorTilt", "AcquisitionMatrix", "SpatialResolution", "ReconstructionPixelSpacing"),
    *("SpacingBetweenSlices", "SliceLocation", "RealWorldValueMappingSequence"),
    # Of enhanced images
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "FrameType"),
    *("DimensionOrganizationSequence", "DimensionOrganizationType", "DimensionIndexSequence"),
    *("FrameContentSequence", "FrameLaterality", "InConcatenationNumber", "ConcatenationUID"),
    *("InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber"),
    "SOPInstanceUIDOfConcatenationSource",
}
PULSES = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}


def classic_headers(header: "Dataset") -> "list[tuple[Dataset, int]]":
    """A classic header as it is; an enhanced one as a classic header a frame."""
    frames = value_of(header, "PerFrameFunctionalGroupsSequence")
    if not frames:
        return [(header, 0)]
    from pydicom import Dataset

    shared = Dataset()
    shared.update({tag: header[tag] for tag in header.keys() if readable(header, tag)})
    for item in value_of(header, "SharedFunctionalGroupsSequence") or ():
        _flatten(item, shared)
    slices = []
    for number, frame in enumerate(frames, 1):
        flat = Dataset()
        flat.update(shared)
        _flatten(frame, flat)
        _classic_names(flat)
        slices.append((flat, number))
    return slices


def _flatten(groups: "Dataset", into: "Dataset") -> None:
    """Lifts the attributes of functional groups to where a classic image has them."""
    for group in groups:
        if group.keyword == "RealWorldValueMappingSequence":
            into.add(group)  # classic images have it as a sequence too
        elif group.VR == "SQ" and not group.tag.is_private:
            for item in group.value or ():
                into.update(item)


def _classic_names(flat: "Dataset") -> None:
    """Gives what enhanced MR calls differently its classic name."""
    if flat.get("Modality") == "MR":
        if "EchoTime" not in flat:
            flat.EchoTime = value_of(flat, "EffectiveEchoTime")
        if "ScanningSequence" not in flat:
            # Research mode, for a sequence that the header does not name.
            flat.ScanningSequence = PULSES.get(str(value_of(flat, "EchoPulseSequence")), ["RM"])
            flat.SequenceVariant = "NONE"


def window_of(header: "Dataset") -> "Dataset | None":
    """How a viewer shows an image: its windows and their function; None where it names none.

    One that is not a number, or narrower than its function allows, is none (PS3.3 C.11.2.1.2).
    """
    from pydicom import Dataset

    kept = Dataset()
    for keyword in WINDOW:
        element = readable(header, keyword)
        if element is not None and not element.is_empty:
            kept.add(copy.copy(element))
    try:
        centers, widths = (_numbers(kept[keyword].value) for keyword in WINDOW[:2])
    except (KeyError, TypeError, ValueError):
        return None
    narrowest = 1.0 if str(kept.get("VOILUTFunction") or "LINEAR") == "LINEAR" else 1e-300
    finite = all(map(math.isfinite, (*centers, *widths)))
    if not finite or len(centers) != len(widths) or min(widths) < narrowest:
        return None
    return kept


def _numbers(value: Any) -> list[float]:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return [float(number) for number in (value if several else [value])]


def files_of_headers(headers: "Sequence[Dataset]") -> list[Path]:
    """The files that headers were read from, each once; none where they came from memory."""
    names = [getattr(header, "filename", None) for header in headers]
    paths = (Path(name) for name in names if isinstance(name, str | os.PathLike))
    return list(dict.fromkeys(paths))


def cleaned(source: "Dataset") -> "Dataset":
    """A copy without private and malformed attributes, and without what `DROPPED` names."""
    from pydicom import Dataset

    kept = Dataset()
    for tag in list(source.keys()):
        overlay = tag.group & 0xFF00 in (0x5000, 0x6000)
        if tag.is_private or tag.element == 0 or tag.group in DROPPED_GROUPS or overlay:
            continue
        element = readable(source, tag)
        if element is None or element.keyword in DROPPED:
            continue
        if element.VR == "SQ":
            kept.add_new(tag, "SQ", [cleaned(item) for item in element.value or ()])
        else:
            kept.add(copy.copy(element))  # setting its value must not change the source's
    return kept


def readable(source: "Dataset", tag: Any) -> "DataElement | None":
    """An attribute whose value is what its type says; None for one that no reader could use."""
    try:
        return source[tag]
    except Exception:  # whatever a malformed value makes pydicom raise
        return None


def value_of(source: "Dataset", keyword: Any) -> Any:
    """An attribute's value; None where it is absent, empty or malformed."""
    element = readable(source, keyword)
    return None if element is None or element.is_empty else element.value


def acquisition_matrix(header: "Dataset") -> tuple[int, int] | None:
    """Columns and rows that were acquired, as (0018,1310) says; None where it does not.

    The order is that of a scan's axes, along a row first.
    """
    given = header.get("AcquisitionMatrix")
    try:
        frequency_rows, frequency_columns, phase_rows, phase_columns = (int(n) for n in given or ())
    except (TypeError, ValueError):
        return None
    rows, columns = frequency_rows or phase_rows, frequency_columns or phase_columns
    return (columns, rows) if rows > 0 and columns > 0 else None
