"""What the node has to know of an image: by which rule it goes, and what is said of it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.images.dicom.derived_header import is_derived
from iconet.images.dicom.sources import DicomFile

if TYPE_CHECKING:
    from pydicom import Dataset

ELEMENTS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    *("SpecificCharacterSet", "Modality", "SeriesDescription", "BodyPartExamined"),
    *("PixelSpacing", "SliceThickness", "ImagesInAcquisition"),
    *("SharedFunctionalGroupsSequence", "NumberOfFrames"),
    *("ContributingEquipmentSequence", "DerivationDescription"),
)
MOST_UID = 64


@dataclass(frozen=True)
class Facts:
    """Of one image.

    Attributes:
        sop_class: UID.
        sop_uid: UID of the image.
        series_uid: UID.
        study_uid: UID.
        modality: As DICOM has it.
        description: Of the series.
        body_part: Body Part Examined.
        pixel_spacing: The larger of the two, in millimetres; None where it is not said.
        slice_thickness: Millimetres; None where it is not said.
        frames: How many.
        expected: How many images its acquisition has; None where it is not said.
        own: Whether iconet made it.
    """

    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    modality: str
    description: str
    body_part: str
    pixel_spacing: float | None
    slice_thickness: float | None
    frames: int
    expected: int | None
    own: bool

    def as_json(self) -> dict[str, Any]:
        """For the queue."""
        return asdict(self)


def facts_of(path: Path, name: str) -> Facts:
    """Read them from a file's header.

    Args:
        path: The file.
        name: What error lines call it.

    Raises:
        InputError: It is damaged, or names no image, series or study.
    """
    header = DicomFile(name, lambda: path.open("rb")).read(pixels=False, only=ELEMENTS)

    def uid(keyword: str) -> str:
        found = str(_value(header, keyword) or "").strip(" \0")
        if not found or len(found) > MOST_UID or not found.isascii() or not found.isprintable():
            raise InputError(f"{name}: has no {keyword}; export it again from its scanner")
        return found

    measures = _measures(header)
    spacing = _numbers(_value(measures, "PixelSpacing"))
    thickness = _numbers(_value(measures, "SliceThickness"))
    frames = _numbers(_value(header, "NumberOfFrames"))
    expected = _numbers(_value(header, "ImagesInAcquisition"))
    return Facts(
        sop_class=uid("SOPClassUID"),
        sop_uid=uid("SOPInstanceUID"),
        series_uid=uid("SeriesInstanceUID"),
        study_uid=uid("StudyInstanceUID"),
        modality=str(_value(header, "Modality") or ""),
        description=str(_value(header, "SeriesDescription") or ""),
        body_part=str(_value(header, "BodyPartExamined") or ""),
        pixel_spacing=max(spacing, default=None),
        slice_thickness=max(thickness, default=None),
        frames=int(max(frames, default=1)),
        expected=int(expected[0]) if expected else None,
        own=is_derived(header),
    )


def _measures(header: "Dataset") -> "Dataset":
    """Where spacing and thickness are: of an enhanced image among what its frames share."""
    if _value(header, "PixelSpacing") is not None:
        return header
    try:
        return header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    except Exception:  # not there, or damaged: then it is not known
        return header


def _value(header: "Dataset", keyword: str) -> Any:
    try:
        return header.get(keyword)
    except Exception:  # a malformed value makes pydicom raise nearly anything
        return None


def _numbers(value: Any) -> list[float]:
    values = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    try:
        return [float(one) for one in values if one is not None]
    except (TypeError, ValueError):
        return []
