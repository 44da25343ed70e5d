import numpy as np
import pydicom
import pytest

from iconet.images.dicom.derived import write_series

from ...images.scanned import MADE, finer, source_of


def test_slices_say_which_ones_they_were_made_from(tmp_path):
    scan, headers = source_of("MR")
    for number, header in enumerate(headers):
        header.ImageComments = f"slice {number}"
    scan = finer(scan, (1, 1, 4))  # at -3/8, -1/8, 1/8, 3/8, 5/8, ... of a source step
    files = write_series(scan, headers[::-1], tmp_path / "out", provenance=MADE)
    images = [pydicom.dcmread(file) for file in files]
    comments = [f"slice {number}" for number in (0, 1, 2) for _ in range(4)]
    assert [image.ImageComments for image in images] == comments
    names = [header.SOPInstanceUID for header in headers]
    sources = [
        [names.index(item.ReferencedSOPInstanceUID) for item in image.SourceImageSequence]
        for image in images
    ]
    assert sources == [
        *([0], [0], [0, 1], [0, 1]),
        *([1, 0], [1, 0], [1, 2], [1, 2]),
        *([2, 1], [2, 1], [2], [2]),
    ]
    step = np.linalg.norm(scan.affine[:3, 2])
    assert images[5].SpacingBetweenSlices == pytest.approx(step)
    assert images[5].SliceThickness == pytest.approx(step)
