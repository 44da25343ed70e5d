"""Where slices lie, and the grid they form together."""

import numpy as np
import pytest

from iconet.images.dicom.series import read_series

from ...images.slices import (
    AFFINE,
    OBLIQUE,
    REAL,
    enhanced_of,
    every,
    numbers,
    refusal,
    save,
    save_all,
    slices_of,
)


def test_a_single_slice_is_as_thick_as_its_header_says(tmp_path):
    folder = save_all(slices_of(numbers(), AFFINE)[:1], tmp_path)
    scan = read_series(folder / "000.dcm")
    assert scan.array.shape == (5, 7, 1)
    assert scan.spacing == pytest.approx((2, 1.5, 9))


def test_shear_within_rounding_is_kept_exactly(tmp_path):
    sheared = AFFINE.copy()
    sheared[0, 2] = 0.01  # of 3 mm: 0.2 degrees
    scan = read_series(save_all(slices_of(numbers(), sheared), tmp_path))
    np.testing.assert_allclose(scan.affine, sheared, atol=1e-9)


def shifted(slices):
    x, y, z = slices[2].ImagePositionPatient
    slices[2].ImagePositionPatient = [x, y, z + 0.5]


REFUSED = {
    "1 missing slices": lambda s: s.pop(2),
    "uneven slices (2.500 to 3.500 mm apart)": shifted,
    "6 slices at 5 positions": lambda s: setattr(
        s[4], "ImagePositionPatient", s[1].ImagePositionPatient
    ),
    "mixed slice orientations": lambda s: setattr(
        s[1], "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]
    ),
    "different PixelSpacing": lambda s: setattr(s[1], "PixelSpacing", [1, 1]),
    "different rows or columns": lambda s: setattr(s[1], "Rows", 6),
    "65535 rows": lambda s: every(s, Rows=65535, Columns=65535),
    "0 rows": lambda s: every(s, Rows=0),
    "no ImagePositionPatient": lambda s: s[1].__delitem__("ImagePositionPatient"),
    "impossible ImagePositionPatient": lambda s: setattr(s[1], "ImagePositionPatient", [1, 2]),
    "perpendicular": lambda s: every(s, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
    "PixelSpacing must be positive": lambda s: every(s, PixelSpacing=[0, 1]),
    "RescaleSlope of 0": lambda s: setattr(s[0], "RescaleSlope", 0),
    "without a position each": lambda s: setattr(s[0], "NumberOfFrames", 2),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refused_with_one_line(tmp_path, why):
    slices = slices_of(numbers((5, 7, 6)), AFFINE)
    REFUSED[why](slices)
    assert why.strip() in refusal(save_all(slices, tmp_path))


def test_a_single_slice_without_thickness(tmp_path):
    slices = slices_of(numbers(), AFFINE)[:1]
    del slices[0].SliceThickness
    assert "unknown SliceThickness" in refusal(save_all(slices, tmp_path))


def test_multi_frame_of_several_time_points(tmp_path):
    made = enhanced_of(numbers(), OBLIQUE, [1] * 4, order=[0, 1, 2, 3, 0, 1, 2, 3])
    assert "8 slices at 4 positions" in refusal(save(made, tmp_path / "enhanced.dcm"))


def test_multi_frame_that_contradicts_itself(tmp_path):
    made = enhanced_of(numbers(), OBLIQUE, [1] * 4, order=range(4))
    made.NumberOfFrames = 3
    assert "claims 3 frames and describes 4" in refusal(save(made, tmp_path / "enhanced.dcm"))


def test_a_real_series_of_slices_of_two_thicknesses():
    if not (REAL / "ct_head_ge").is_dir():
        pytest.skip(f"the real series are not in {REAL}")
    assert "uneven slices" in refusal(REAL / "ct_head_ge")
