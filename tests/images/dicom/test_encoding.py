from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iconet.images.dicom.derived import write_series
from iconet.images.dicom.encoding import Encoding, encoding_of

from ...images.scanned import MADE, assert_holds, by_simpleitk, finer, source_of


@given(
    st.floats(-1e6, 1e6, width=32),
    st.floats(2**-40, 1e6, width=32),
    st.lists(st.floats(0, 1), min_size=1, max_size=9),
)
def test_rounding_is_below_a_4000th_of_the_range(low, span, fractions):
    high = low + span
    values = np.array([low, high, *(low + np.array(fractions) * span)])
    encoding = encoding_of(low, high)
    found = encoding.store(values) * encoding.slope + encoding.intercept
    assert np.abs(found - values).max() < (high - low) / 4000 + 1e-9 * max(abs(low), abs(high))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 4095, (1, 0, False)),
        (-1024, 3071, (1, 0, True)),
        (0, 300, (0.0625, 0, False)),  # 4800 steps
        (0, 1e6, (128, 0, False)),
        (50000, 110000, (1, 50000, False)),
        (7, 7, (1, 0, False)),
        (7.25, 7.25, (1, 7.25, False)),
    ],
)
def test_plain_integers_are_kept_where_they_are_fine_enough(low, high, expected):
    assert encoding_of(float(low), float(high)) == Encoding(*expected)


def test_every_pet_slice_has_the_slope_of_its_own_maximum(tmp_path):
    scan, headers = source_of("PT")
    array = scan.array * np.array([0, 1, 1e-3], dtype=np.float32)
    files = write_series(replace(scan, array=array), headers, tmp_path / "out", provenance=MADE)
    images = [pydicom.dcmread(file) for file in files]
    assert images[0].RescaleSlope == pytest.approx(array.max() / 32767)  # empty: the series'
    for k, image in enumerate(images):
        assert image.RescaleIntercept == 0 and image.BitsStored == 16
        found = image.pixel_array.T * float(image.RescaleSlope)
        np.testing.assert_allclose(found, array[:, :, k], atol=array[:, :, k].max() / 65000)


def test_monochrome1_keeps_its_values_for_every_reader_and_is_said(tmp_path):
    scan, headers = source_of("CT")
    for header in headers:
        header.PhotometricInterpretation = "MONOCHROME1"
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    # ITK inverts the stored numbers of MONOCHROME1, and so Hounsfield units.
    assert_holds(*by_simpleitk(tmp_path / "out"), finer(scan), 1)
    image = pydicom.dcmread(files[0])
    assert image.PhotometricInterpretation == "MONOCHROME2"
    assert "MONOCHROME1" in image.DerivationDescription
