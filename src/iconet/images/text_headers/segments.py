"""The segments that 3D Slicer lists in the header of a `.seg.nrrd`, and what becomes of them.

Each has its keys `Segment0_ID`, `_Name`, `_LabelValue`, `_Layer`, ... Names and values stay true on
another grid. Where the voxels of a segment begin and end is counted in voxels, and does not.
"""

import re
from collections.abc import Mapping

import numpy as np

from iconet.images.scan import Scan

KEYS = re.compile(r"Segment(?:\d+|ation)_.+")
OFFSET = "Segmentation_ReferenceImageExtentOffset"
NOWHERE = "0 -1 0 -1 0 -1"


def has_segments(keywords: Mapping[str, str]) -> bool:
    """Whether a header lists segments."""
    return any(KEYS.fullmatch(key) for key in keywords)


def on_grid_of(scan: Scan, like: Scan) -> dict[str, str]:
    """The keywords of `like`, with the extents that its segments have in `scan`."""
    found = dict(like.keywords)
    for key in like.keywords:
        if extent := re.fullmatch(r"(Segment\d+)_Extent", key):
            found[key] = _extent(scan.array, like.keywords, extent[1])
    if OFFSET in found:
        found[OFFSET] = _moved(found[OFFSET], scan, like)
    return found


def _extent(array: np.ndarray, keywords: Mapping[str, str], segment: str) -> str:
    """First and last voxel of a segment along each axis."""
    try:
        label = float(keywords.get(f"{segment}_LabelValue", "1"))
        layer = int(keywords.get(f"{segment}_Layer", "0"))
        volume = array[..., layer] if array.ndim == 4 else array
    except (ValueError, IndexError):
        return NOWHERE
    there = volume == label
    ends = []
    for axis in range(volume.ndim):
        line = np.flatnonzero(there.any(axis=tuple(a for a in range(volume.ndim) if a != axis)))
        ends += [int(line[0]), int(line[-1])] if line.size else [0, -1]
    return " ".join(map(str, ends + [0, 0] * (3 - volume.ndim)))


def _moved(offset: str, scan: Scan, like: Scan) -> str:
    """How many voxels of a reference image come before the first one, on the new grid."""
    sizes = zip(offset.split(), scan.array.shape, like.array.shape, strict=False)
    try:
        return " ".join(str(round(int(voxels) * new / old)) for voxels, new, old in sizes)
    except ValueError:
        return "0 0 0"
