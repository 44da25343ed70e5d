"""Siemens mosaics: one classic image that holds all slices of a volume, as tiles in rows.

Where the slices lie is in Siemens' own header (CSA), which nibabel reads: how many there are, and
the direction from one to the next. The position of the image is that of a slice as large as the
mosaic about the same centre as the first one.
"""

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from iconet.errors import InputError
from iconet.images.dicom.source_header import value_of

if TYPE_CHECKING:
    from pydicom import Dataset

CREATOR, COUNT = 0x00190010, 0x0019100A  # of the images in a mosaic
ELEMENTS = [CREATOR, COUNT]
PARALLEL = 1e-2  # by how much the two normals may differ, as a length
REMEDY = "convert it with dcm2niix first"


@dataclass(frozen=True)
class Mosaic:
    """How an image is cut.

    Attributes:
        count: Slices.
        side: Tiles along a row, and down a column.
        rows: Of a tile.
        columns: Of a tile.
    """

    count: int
    side: int
    rows: int
    columns: int

    def cut(self, image: np.ndarray) -> list[np.ndarray]:
        """The slices (rows, columns) of a mosaic, in their order."""
        return [
            image[
                row * self.rows : (row + 1) * self.rows,
                column * self.columns : (column + 1) * self.columns,
            ]
            for row, column in (divmod(index, self.side) for index in range(self.count))
        ]


def is_mosaic(header: "Dataset") -> bool:
    """Whether an image is one. Multi-frame files that say MOSAIC (XA) hold their slices as frames.

    What others derive from a mosaic may keep the type and lose the mosaic: iconet's does neither.
    """
    if value_of(header, "PerFrameFunctionalGroupsSequence") or value_of(header, "NumberOfFrames"):
        return False
    types = value_of(header, "ImageType")
    types = [types] if isinstance(types, str) else list(types or ())
    if "MOSAIC" in types:
        return True
    siemens = value_of(header, CREATOR) == "SIEMENS MR HEADER"
    count = value_of(header, COUNT) if siemens else None
    return isinstance(count, int) and count > 1 and "DERIVED" not in types


def mosaic_slices(header: "Dataset", name: str) -> "tuple[Mosaic, list[Dataset]]":
    """How to cut a mosaic, and a classic header for each of its slices.

    Args:
        header: The whole of it.
        name: Of the file, for messages.

    Raises:
        InputError: Siemens' header does not say, or contradicts the image.
    """
    count, normal = _csa(header, name)
    side = math.ceil(math.sqrt(count))
    rows, columns = int(header.Rows), int(header.Columns)
    if rows % side or columns % side:
        raise InputError(
            f"{name}: a Siemens mosaic of {count} slices, which {rows} rows and {columns} columns"
            f" are not; {REMEDY}"
        )
    mosaic = Mosaic(count, side, rows // side, columns // side)
    try:
        across, down = np.reshape([float(n) for n in header.ImageOrientationPatient], (2, 3))
        between_rows, between_columns = (float(mm) for mm in header.PixelSpacing)
        corner = np.array([float(mm) for mm in header.ImagePositionPatient])
        step = float(value_of(header, "SpacingBetweenSlices") or 0)
    except (AttributeError, TypeError, ValueError):
        step = 0.0
    if not step > 0:
        raise InputError(f"{name}: a Siemens mosaic without the place of its slices; {REMEDY}")
    given = np.cross(across, down)
    if min(np.linalg.norm(given - normal), np.linalg.norm(given + normal)) > PARALLEL:
        raise InputError(f"{name}: a Siemens mosaic of slices that are not parallel; {REMEDY}")
    first = (
        corner
        + across * between_columns * (columns - mosaic.columns) / 2
        + down * between_rows * (rows - mosaic.rows) / 2
    )
    towards = given * math.copysign(1.0, float(given @ normal))
    return mosaic, [
        _slice_header(header, mosaic, first + index * step * towards) for index in range(count)
    ]


def _csa(header: "Dataset", name: str) -> tuple[int, np.ndarray]:
    """How many slices there are, and the unit vector from one to the next."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls all of its DICOM readers experimental
        from nibabel.nicom.csareader import (
            get_csa_header,
            get_n_mosaic,
            get_scalar,
            get_slice_normal,
        )

    try:
        csa = get_csa_header(header, "image")
        count = int(get_n_mosaic(csa) or 0) if csa else 0
        normal = np.array(get_slice_normal(csa), float) if csa else np.zeros(3)
        first = int(get_scalar(csa, "ProtocolSliceNumber") or 0) if csa else 0
    except Exception as error:  # whatever damaged bytes make the reader raise
        raise InputError(f"{name}: a Siemens mosaic with a damaged header; {REMEDY}") from error
    if count < 1 or count > 4096 or normal.shape != (3,) or not np.isfinite(normal).all():
        raise InputError(
            f"{name}: a Siemens mosaic whose header does not say where its slices are; {REMEDY}"
        )
    length = float(np.linalg.norm(normal))
    if not length or first > 1:
        # Numbered from the other end: which of the two is meant, its images alone tell.
        raise InputError(f"{name}: a Siemens mosaic of reversed slices; {REMEDY}")
    return count, normal / length


def _slice_header(header: "Dataset", mosaic: Mosaic, position: np.ndarray) -> "Dataset":
    """The header of the mosaic as it would be of one of its slices."""
    from pydicom import Dataset
    from pydicom.valuerep import DSfloat

    one = Dataset()
    one.update(header)
    for keyword in ("Rows", "Columns", "ImagePositionPatient", "ImageType"):
        if keyword in one:
            del one[keyword]  # setting its value would change the mosaic's
    for kept in ("filename", "file_meta"):
        if hasattr(header, kept):
            setattr(one, kept, getattr(header, kept))
    one.Rows, one.Columns = mosaic.rows, mosaic.columns
    one.ImagePositionPatient = [DSfloat(float(mm), auto_format=True) for mm in position]
    types = value_of(header, "ImageType") or ()
    one.ImageType = [t for t in ([types] if isinstance(types, str) else types) if t != "MOSAIC"]
    return one
