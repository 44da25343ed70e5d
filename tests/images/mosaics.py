"""Siemens mosaics with a known truth, and the header (CSA) in which their slices are."""

import struct

import numpy as np
from pydicom.uid import MRImageStorage

from .slices import LPS, ds, image


def csa(**tags):
    """Siemens' own header (SV10), by the description in nibabel's documentation.

    Args:
        tags: of each the type ("IS", "FD", ...) and its values as text.
    """
    made = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, (vr, *values) in tags.items():
        made += struct.pack("<64si4s3i", name.encode(), len(values), vr.encode(), 0, 6, 77)
        for index in range(6):
            text = values[index].encode() + b"\0" if index < len(values) else b""
            made += struct.pack("<4i", *[len(text)] * 2, 77, len(text)) + text
            made += bytes(-len(text) % 4)
    return made


def mosaic_of(stored, affine, *, reversed_normal=False, **tags):
    """One file with all slices of a volume (I, J, K) whose RAS+ affine is given."""
    columns, rows, count = stored.shape
    side = int(np.ceil(np.sqrt(count)))
    tiles = np.zeros((side * rows, side * columns), stored.dtype)
    order = range(count)[::-1] if reversed_normal else range(count)
    for place, k in enumerate(order):
        down, across = divmod(place, side)
        row, column = down * rows, across * columns
        tiles[row : row + rows, column : column + columns] = stored[:, :, k].T
    made = image(tiles, MRImageStorage)
    made.Modality, made.Manufacturer = "MR", "SIEMENS"
    made.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    directions = lps[:3, :3] / spacing
    first = lps[:3, 3] + lps[:3, 2] * order[0]
    # The corner of an image as large as the mosaic about the centre of the first slice.
    middle = lps[:3, 0] * (columns - 1) / 2 + lps[:3, 1] * (rows - 1) / 2
    whole = lps[:3, 0] * (side * columns - 1) / 2 + lps[:3, 1] * (side * rows - 1) / 2
    made.ImagePositionPatient = ds(first + middle - whole)
    made.ImageOrientationPatient = ds([*directions[:, 0], *directions[:, 1]])
    made.PixelSpacing, made.SliceThickness = ds([spacing[1], spacing[0]]), "9"
    made.SpacingBetweenSlices = ds([spacing[2]])[0]
    normal = directions[:, 2] * (-1 if reversed_normal else 1)
    content = {
        "NumberOfImagesInMosaic": ("US", str(count)),
        "AcquisitionMatrixText": ("SH", f"{rows}*{columns}"),
        "SliceNormalVector": ("FD", *(f"{n:.8f}" for n in normal)),
        **tags,
    }
    block = made.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa(**content))
    return made
