"""Where each slice of a DICOM series lies, and the grid that they form together.

Conventions: DICOM PS3.3 C.7.6.2 (image plane), C.7.6.16.2 (functional groups of multi-frame
images). Patient coordinates point left, posterior, head; the affine points right, anterior, head.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom.real_world import quantity
from iconet.images.dicom.traits import Trait, traits_of
from iconet.images.geometry import lps_to_ras

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST_SIDE = 8192  # pixels; the largest CT, MR and PET matrices have 4096
# Headers round direction cosines to 4 to 7 digits, positions to 2 or more.
SAME_DIRECTION = 1e-3
SAME_SPACING = 1e-3  # relative
UNEVEN = 0.05  # of the step: how far a slice may lie from where an even grid has it
COINCIDE = 1e-3  # millimetres between positions that are one
APART = 1.5  # times the header's distance or thickness, from which slices may be missing between


@dataclass(frozen=True)
class Plane:
    """One slice: where it is, and what its stored numbers mean.

    Attributes:
        file: Index of its file.
        frame: Index of its frame in that file.
        rows: Number of pixels down.
        columns: Number of pixels across.
        position: (3,) centre of the first pixel, LPS millimetres.
        directions: (2, 3) unit vectors along a row (column index grows) and down a column.
        spacing: Millimetres between (rows, columns).
        thickness: Millimetres from the header, for a slice that has no neighbour; None if unknown.
        slope: The value of one stored unit; see `iconet.images.dicom.real_world`.
        intercept: The value of a stored 0.
        unit: Of the values, where the header maps to one; else empty.
        number: InstanceNumber, which frames of one file share; None if unknown.
        traits: What may tell it from others at its place, such as its echo time; see
            `iconet.images.dicom.volumes`.
    """

    file: int
    frame: int
    rows: int
    columns: int
    position: np.ndarray
    directions: np.ndarray
    spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float
    unit: str = ""
    number: int | None = None
    traits: "Mapping[str, Trait]" = field(default_factory=dict)

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector that makes a right-handed frame with the two directions."""
        across = np.cross(*self.directions)
        return np.asarray(across / np.linalg.norm(across))


def planes_of(header: "Dataset", file: int, name: str) -> list[Plane]:
    """The slices in one file, in the order in which it stores them.

    Args:
        header: A classic single-frame image or an enhanced multi-frame one.
        file: Index of the file, to be kept with each slice.
        name: What error messages call the file.

    Raises:
        InputError: Position, orientation, spacing or rescale are missing or impossible; a
            multi-frame image without positions per frame; absurd rows or columns.
    """
    rows, columns = int(header.Rows), int(header.Columns)
    if not (0 < rows <= LARGEST_SIDE and 0 < columns <= LARGEST_SIDE):
        raise InputError(
            f"{name}: {rows} rows and {columns} columns are not those of a scan; export it again"
        )
    frames = int(header.get("NumberOfFrames") or 1)
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        if frames != 1:
            raise InputError(
                f"{name}: {frames} frames without a position each; export it as enhanced"
                " multi-frame or single slices"
            )
        return [_plane(header, [header], file, 0, (rows, columns), name)]
    if len(per_frame) != frames or frames < 1:
        raise InputError(
            f"{name}: claims {frames} frames and describes {len(per_frame)}; export it again"
        )
    shared = header.get("SharedFunctionalGroupsSequence") or []
    return [
        _plane(header, [frame, *shared], file, index, (rows, columns), name)
        for index, frame in enumerate(per_frame)
    ]


def _plane(
    header: "Dataset",
    groups: "Sequence[Dataset]",
    file: int,
    frame: int,
    size: tuple[int, int],
    name: str,
) -> Plane:
    """One slice from its own functional groups, then the shared ones; or from a classic header."""
    numbers = functools.partial(_numbers, header, groups, name)
    position = numbers("PlanePositionSequence", "ImagePositionPatient", 3, needed=True)
    directions = np.reshape(
        numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6, needed=True), (2, 3)
    )
    lengths = np.linalg.norm(directions, axis=1)
    cosine = abs(directions[0] @ directions[1])
    if np.abs(lengths - 1).max() > SAME_DIRECTION or cosine > SAME_DIRECTION:
        raise InputError(
            f"{name}: ImageOrientationPatient is not two perpendicular unit vectors; correct it"
        )
    spacing = numbers("PixelMeasuresSequence", "PixelSpacing", 2, needed=True)
    if min(spacing) <= 0:
        raise InputError(f"{name}: PixelSpacing must be positive; correct it")
    thickness = numbers("PixelMeasuresSequence", "SpacingBetweenSlices", 1) or numbers(
        "PixelMeasuresSequence", "SliceThickness", 1
    )
    (slope,) = numbers("PixelValueTransformationSequence", "RescaleSlope", 1) or [1.0]
    (intercept,) = numbers("PixelValueTransformationSequence", "RescaleIntercept", 1) or [0.0]
    if slope == 0:
        raise InputError(f"{name}: a RescaleSlope of 0 leaves no values; correct it")
    mapping = quantity(header, groups, name)
    if mapping is not None:
        slope, intercept = mapping.slope, mapping.intercept
    return Plane(
        file=file,
        frame=frame,
        rows=size[0],
        columns=size[1],
        position=np.array(position),
        directions=directions / lengths[:, None],
        spacing=(spacing[0], spacing[1]),
        thickness=abs(thickness[0]) if thickness and thickness[0] else None,
        slope=slope,
        intercept=intercept,
        unit="" if mapping is None else mapping.unit,
        number=_instance(header),
        traits=traits_of(header, groups),
    )


def _instance(header: "Dataset") -> int | None:
    try:
        return int(header.InstanceNumber)
    except Exception:  # absent, or what a malformed one makes pydicom raise
        return None


def _numbers(
    header: "Dataset",
    groups: "Sequence[Dataset]",
    name: str,
    sequence: str,
    keyword: str,
    count: int,
    *,
    needed: bool = False,
) -> list[float]:
    """The numbers of an attribute, from the first group that has it; none where no group has it."""
    for group in groups:
        items = [group] if group is header else group.get(sequence)
        value = items[0].get(keyword) if items else None
        if value is None or value == "":
            continue
        values = [float(v) for v in ([value] if count == 1 else value)]
        if len(values) != count or not all(map(math.isfinite, values)):
            raise InputError(f"{name}: an impossible {keyword}; correct or export it again")
        return values
    if needed:
        raise InputError(f"{name}: has no {keyword}; export the original images")
    return []


def check_alike(planes: Sequence[Plane], name: str) -> None:
    """Refuses slices of different size, spacing or orientation.

    Args:
        planes: The slices of one series, at least one, in any order.
        name: What error messages call the series.

    Raises:
        InputError: They are no stack.
    """
    first = planes[0]
    if any((plane.rows, plane.columns) != (first.rows, first.columns) for plane in planes):
        raise InputError(f"{name}: slices of different rows or columns; export one size alone")
    if any(np.abs(plane.directions - first.directions).max() > SAME_DIRECTION for plane in planes):
        raise InputError(f"{name}: mixed slice orientations; export one orientation alone")
    if any(not np.allclose(p.spacing, first.spacing, rtol=SAME_SPACING, atol=0) for p in planes):
        raise InputError(f"{name}: slices of different PixelSpacing; export one spacing alone")


def ordered(planes: Sequence[Plane], name: str) -> tuple[list[Plane], np.ndarray]:
    """The slices in the order in which they lie in the patient, and their common affine.

    They go along the normal of the first slice, so the axes are right-handed in patient
    coordinates. The step between slices is that of their positions, never SliceThickness. Under a
    tilted gantry it leans, and the affine is sheared; see `iconet.images.dicom.straighten`.

    Args:
        planes: As `check_alike` has found them, of one volume.
        name: What error messages call the series.

    Returns:
        The ordered slices, and (4, 4) float64 from (column, row, slice) to RAS+ millimetres.

    Raises:
        InputError: Several at one position; missing or uneven slices; a single slice of unknown
            thickness.
    """
    first = planes[0]
    normal = first.normal
    # Positions far from each other in value but not along the normal still sort alike.
    planes = sorted(planes, key=lambda plane: float(plane.position @ normal))
    step = _step(planes, normal, name)
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[1]
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = planes[0].position
    return planes, lps_to_ras(affine)


def _step(planes: Sequence[Plane], normal: np.ndarray, name: str) -> np.ndarray:
    """(3,) LPS millimetres from one slice to the next."""
    if len(planes) == 1:
        if planes[0].thickness is None:
            raise InputError(f"{name}: one slice of unknown SliceThickness; add it, or more slices")
        return normal * planes[0].thickness
    positions = np.array([plane.position for plane in planes])
    heights = positions @ normal
    gaps = np.diff(heights)
    if gaps.min() < COINCIDE:
        places = 1 + int((gaps >= COINCIDE).sum())
        raise InputError(
            f"{name}: {len(planes)} slices at {places} positions (echoes, time points, b-values, or"
            " copies); export one volume alone"
        )
    whole = positions[-1] - positions[0]
    step = np.asarray(whole / (len(planes) - 1))
    even = positions[0] + np.arange(len(planes))[:, None] * step
    if np.linalg.norm(positions - even, axis=1).max() > UNEVEN * np.linalg.norm(step):
        raise InputError(f"{name}: {_why_uneven(gaps)}; export the whole series, or resample it")
    return step


def _why_uneven(gaps: np.ndarray) -> str:
    usual = float(np.median(gaps))
    steps = gaps / usual
    missing = int((np.rint(steps) - 1).sum())
    if missing > 0 and np.abs(steps - np.rint(steps)).max() < UNEVEN:
        return f"{missing} missing slices (gaps of {gaps.max():.3f} mm beside {usual:.3f} mm)"
    return f"uneven slices ({gaps.min():.3f} to {gaps.max():.3f} mm apart)"


def missing_between(planes: Sequence[Plane], *, surely: bool) -> str | None:
    """What is to be said of slices that lie evenly, but farther apart than the header has it.

    Every second one may be missing. Instance numbers that follow one another tell that none is:
    there are gaps between the slices, or the header gives these instead of the distance.

    Args:
        planes: In order.
        surely: Whether the instance numbers must say so too; else it is enough that they do not
            say that nothing is missing.
    """
    if len(planes) < 2:
        return None
    said = planes[0].thickness
    step = float(np.linalg.norm(planes[1].position - planes[0].position))
    numbers = [plane.number for plane in planes if plane.number is not None]
    skipped = len(numbers) == len(planes) and all(
        abs(after - before) > 1 for before, after in itertools.pairwise(numbers)
    )
    if said is None:
        return f"{step:.4g} mm apart and by their numbers not neighbours" if skipped else None
    follow = len(numbers) == len(planes) and not skipped
    if step < APART * said or follow or (surely and not skipped):
        return None
    return f"{step:.4g} mm apart and {said:.4g} mm by the header"
