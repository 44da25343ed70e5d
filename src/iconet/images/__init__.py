"""Formats in and out, and where their voxels are in the world."""

from iconet.images.geometry import (
    check_upscalable,
    choose_slice_axis,
    respaced_affine,
    scaled_affine,
    slice_axis_of,
    updated_header,
)
from iconet.images.memory import memory_needed, require_memory
from iconet.images.reading import from_array, from_nibabel, read, refuse_nan
from iconet.images.scan import Scan
from iconet.images.writing import check_output, to_array, to_nibabel, write

__all__ = [
    "Scan",
    "check_output",
    "check_upscalable",
    "choose_slice_axis",
    "from_array",
    "from_nibabel",
    "memory_needed",
    "read",
    "refuse_nan",
    "require_memory",
    "respaced_affine",
    "scaled_affine",
    "slice_axis_of",
    "to_array",
    "to_nibabel",
    "updated_header",
    "write",
]
