import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from iconet.errors import InputError
from iconet.images.dicom.series import read_series

from ...images.grids import affines
from ...images.slices import (
    AFFINE,
    OBLIQUE,
    PATIENT,
    REAL,
    enhanced_of,
    every,
    image,
    numbers,
    refusal,
    save,
    save_all,
    slices_of,
)


@given(affine=affines(), seed=st.integers(0, 99))
def test_any_geometry_is_found_from_positions_and_not_from_names(tmp_path_factory, affine, seed):
    stored = numbers()
    series = read_series(
        save_all(slices_of(stored, affine), tmp_path_factory.mktemp("series"), seed)
    )
    if np.linalg.det(affine[:3, :3]) < 0:  # slices go along the normal: the other way round
        stored = stored[:, :, ::-1]
        affine = affine @ np.array(
            [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, stored.shape[2] - 1], [0, 0, 0, 1.0]]
        )
    np.testing.assert_allclose(series.affine, affine, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(series.array, stored - np.float32(100))


def test_every_slice_has_its_own_slope(tmp_path):
    stored, slopes = numbers(), np.array([0.5, 2.25, 1, 3.125])
    scan = read_series(save_all(slices_of(stored, OBLIQUE, slopes), tmp_path))
    np.testing.assert_array_equal(scan.array, (stored * slopes - 100).astype(np.float32))
    assert (scan.dtype, scan.slope, scan.inter) == (np.float32, 1, 0)


def test_integers_with_one_scale_keep_it(tmp_path):
    scan = read_series(save_all(slices_of(numbers(), OBLIQUE, [0.5] * 4), tmp_path))
    assert (scan.dtype, scan.slope, scan.inter) == (np.int16, 0.5, -100)
    assert scan.path == tmp_path
    np.testing.assert_allclose(scan.header.get_best_affine(), scan.affine, atol=1e-5)
    assert scan.header.get_data_shape() == (5, 7, 4)


def test_headers_are_in_the_order_of_the_slices_and_hold_no_pixels(tmp_path):
    slices = slices_of(numbers(), OBLIQUE)
    series = read_series(save_all(slices, tmp_path, seed=3))
    assert [h.SOPInstanceUID for h in series.dicom] == [s.SOPInstanceUID for s in slices]
    assert not any("PixelData" in header for header in series.dicom)
    assert series.dicom[0].PatientName == PATIENT
    assert series.dicom[0].SeriesInstanceUID == "1.2.3"


def test_monochrome1_is_how_it_is_shown_and_not_what_it_is_worth(tmp_path):
    stored = numbers()
    slices = slices_of(stored, AFFINE)
    for made in slices:
        made.PhotometricInterpretation = "MONOCHROME1"
    series = read_series(save_all(slices, tmp_path))
    np.testing.assert_array_equal(series.array, stored - np.float32(100))
    assert series.dicom[0].PhotometricInterpretation == "MONOCHROME1"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_lossless_compression_changes_nothing(tmp_path, syntax, dtype):
    stored = numbers((40, 33, 2), dtype, 250)
    if dtype == np.int16:
        stored -= 125
    slices = slices_of(stored, AFFINE)
    for made in slices:
        made.compress(syntax, generate_instance_uid=False)
    scan = read_series(save_all(slices, tmp_path))
    np.testing.assert_array_equal(scan.array, stored.astype(np.float32) - 100)


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_other_encodings_of_plain_pixels(tmp_path, syntax):
    stored = numbers()
    slices = slices_of(stored, AFFINE)
    for made in slices:
        made.file_meta.TransferSyntaxUID = syntax
    scan = read_series(save_all(slices, tmp_path))
    np.testing.assert_array_equal(scan.array, stored - np.float32(100))


def test_big_endian(tmp_path):
    stored = numbers()
    slices = slices_of(stored, AFFINE)
    for made in slices:
        made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        made.PixelData = np.frombuffer(made.PixelData, "<i2").astype(">i2").tobytes()
    scan = read_series(save_all(slices, tmp_path))
    np.testing.assert_array_equal(scan.array, stored - np.float32(100))
    assert scan.dtype == np.int16


def test_bits_beyond_those_stored_are_not_values(tmp_path):
    stored = numbers(dtype=np.uint16)
    slices = slices_of(stored | 0xA000, AFFINE)  # an old overlay in the four highest bits
    for made in slices:
        made.BitsStored, made.HighBit = 12, 11
    scan = read_series(save_all(slices, tmp_path))
    np.testing.assert_array_equal(scan.array, stored.astype(np.float32) - 100)


@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless, RLELossless])
def test_enhanced_multi_frame(tmp_path, syntax):
    stored, slopes = numbers((40, 33, 4)), np.array([0.5, 2.25, 1, 3.125])
    made = enhanced_of(stored, OBLIQUE, slopes, order=[2, 0, 3, 1])
    if syntax is not None:
        made.compress(syntax, generate_instance_uid=False)
    series = read_series(save(made, tmp_path / "enhanced.dcm"))
    np.testing.assert_array_equal(series.array, (stored * slopes - 100).astype(np.float32))
    np.testing.assert_allclose(series.affine, OBLIQUE, atol=1e-9)
    assert [header.SOPInstanceUID for header in series.dicom] == [made.SOPInstanceUID]


def several(folder):
    """Series 4 (CT), a series 7 (MR), a localizer and a report in one folder."""
    save_all(slices_of(numbers(), AFFINE), folder / "a")
    other = slices_of(numbers(), OBLIQUE)
    scout = slices_of(numbers(), AFFINE)[:1]
    for made in other:
        made.SeriesInstanceUID, made.SeriesNumber, made.Modality = "1.2.7", 7, "MR"
    scout[0].SeriesInstanceUID, scout[0].SeriesNumber = "1.2.1", 1
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save_all(other, folder / "b")
    save_all(scout, folder / "c")
    report = image(numbers((2, 2)))
    report.SeriesInstanceUID, report.SeriesNumber, report.Modality = "1.2.9", 9, "SR"
    del report.Rows, report.Columns, report.PixelData
    save(report, folder / "report")
    (folder / "README.txt").write_text("not DICOM")
    return folder


def test_several_series_are_listed_and_chosen(tmp_path):
    folder = several(tmp_path)
    line = refusal(folder)
    assert line.endswith(
        "2 series; choose by --series 4 (CT, 5 x 7, 4 files), 7 (MR, 5 x 7, 4 files)"
    )
    for chosen in (7, "7", "1.2.7"):
        series = read_series(folder, series=chosen)
        assert series.dicom[0].SeriesInstanceUID == "1.2.7"
        np.testing.assert_allclose(series.affine, OBLIQUE, atol=1e-9)
    for absent in (5, "5", "1.2", "dummy", "", " "):
        assert "no series of that number, UID or description" in refusal(folder, series=absent)
    assert "localizer" in refusal_inside(folder, series=1)
    assert "not an image" in refusal_inside(folder, series=9)


def test_a_part_of_the_description_chooses_and_is_shown_without_the_patient(tmp_path):
    folder = several(tmp_path)
    for made in (folder / "b").iterdir():
        image = pydicom.dcmread(made)
        image.SeriesDescription = f"T1 MPRAGE {PATIENT}"
        save(image, made)
    assert read_series(folder, series="mprage").dicom[0].SeriesInstanceUID == "1.2.7"
    for made in (folder / "a").iterdir():
        image = pydicom.dcmread(made)
        image.SeriesDescription = f"T1 soft {PATIENT}"
        save(image, made)
    line = refusal(folder, series="T1")
    assert "more than one series of that number or description" in line
    assert line.endswith(
        '4 "T1 soft ***" (CT, 5 x 7, 4 files), 7 "T1 MPRAGE ***" (MR, 5 x 7, 4 files)'
    )


def refusal_inside(folder, **choice):
    with pytest.raises(InputError) as error:
        read_series(folder, **choice)
    assert PATIENT not in str(error.value)
    return str(error.value)


def test_one_scan_beside_a_localizer_needs_no_choice(tmp_path):
    folder = several(tmp_path)
    for made in (folder / "b").iterdir():
        made.unlink()
    assert read_series(folder).dicom[0].SeriesInstanceUID == "1.2.3"


REFUSED = {
    "localizer": lambda s: every(s, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "colour": lambda s: every(s, SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    "colour ": lambda s: every(s, PhotometricInterpretation="PALETTE COLOR"),
    "modality": lambda s: every(s, Modality="US"),
    "not an image": lambda s: [s.__delitem__("Rows") for s in s],
    "no pixel data": lambda s: s[1].__delitem__("PixelData"),
    "truncated pixel data": lambda s: setattr(s[1], "PixelData", s[1].PixelData[:-2]),
    "beyond float32": lambda s: setattr(s[0], "RescaleSlope", "1e300"),
    "lookup table": lambda s: every(s, ModalityLUTSequence=[image(numbers((2, 2)))]),
    "bits": lambda s: every(s, BitsStored=12, HighBit=15),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refused_with_one_line(tmp_path, why):
    slices = slices_of(numbers((5, 7, 6)), AFFINE)
    REFUSED[why](slices)
    assert why.strip() in refusal(save_all(slices, tmp_path))


def test_several_multi_frame_files_in_one_series(tmp_path):
    for name, above in (("a", 0), ("b", 12)):
        affine = OBLIQUE.copy()
        affine[:3, 3] += above / 3 * OBLIQUE[:3, 2]
        save(enhanced_of(numbers(), affine, [1] * 4, order=range(4)), tmp_path / name)
    assert "2 multi-frame files" in refusal(tmp_path)
    assert read_series(tmp_path / "a").array.shape == (5, 7, 4)


def by_itk(folder):
    """Values (I, J, K) and RAS+ affine as GDCM's reader sees them."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    volume = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(volume.GetDirection(), (3, 3)) * volume.GetSpacing()
    affine[:3, 3] = volume.GetOrigin()
    return SimpleITK.GetArrayFromImage(volume).T, np.diag([-1, -1, 1, 1]) @ affine


def corners(affine, shape):
    voxels = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    return affine[:3, :3] @ voxels + affine[:3, 3:]


def same_as_itk(folder):
    scan = read_series(folder)
    values, affine = by_itk(folder)
    assert scan.array.shape == values.shape
    np.testing.assert_allclose(
        corners(scan.affine, values.shape), corners(affine, values.shape), atol=1e-3
    )
    np.testing.assert_allclose(scan.array, values, rtol=1e-6, atol=1e-3)


def test_simpleitk_reads_the_same_oblique_series(tmp_path):
    same_as_itk(save_all(slices_of(numbers(), OBLIQUE, [0.5, 2.25, 1, 3.125]), tmp_path))


@pytest.mark.parametrize("name", ["ct_abdomen", "pet_wholebody"])
def test_simpleitk_reads_the_same_real_series(name):
    if not (REAL / name).is_dir():
        pytest.skip(f"the real series are not in {REAL}")
    same_as_itk(REAL / name)


@pytest.mark.parametrize(
    ("dtype", "elements", "expected"),
    [
        (np.int16, {"PixelPaddingValue": -2000}, (-2100, -2100)),
        (np.int16, {"PixelPaddingValue": 63536}, (-2100, -2100)),
        (np.uint16, {"PixelPaddingValue": 63536}, (63436, 63436)),
        (np.uint16, {"PixelPaddingValue": -2000}, (63436, 63436)),
        (np.int16, {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1500}, (-2100, -1600)),
        (np.int16, {"PixelPaddingValue": -1500, "PixelPaddingRangeLimit": -2000}, (-2100, -1600)),
        (np.uint16, {"PixelPaddingValue": 63536, "BitsStored": 12, "HighBit": 11}, None),
        (np.int16, {"PixelPaddingRangeLimit": -2000}, None),
        (np.int16, {"PixelPaddingValue": None}, None),
        (np.int16, {}, None),
    ],
)
def test_padding_is_what_the_header_says_on_the_scale_of_the_values(
    tmp_path, dtype, elements, expected
):
    slices = slices_of(numbers(dtype=dtype), AFFINE)
    for made in slices:
        for keyword, value in elements.items():
            if keyword.startswith("PixelPadding"):
                signed = value is not None and value < 0
                made.add_new(keyword, "SS" if signed else "US", value)
            else:
                setattr(made, keyword, value)
    assert read_series(save_all(slices, tmp_path)).padding == expected


@pytest.mark.parametrize(("dtype", "stored"), [(np.int16, -2000), (np.uint16, 63536)])
def test_padding_in_headers_that_leave_its_type_open(tmp_path, dtype, stored):
    slices = slices_of(numbers(dtype=dtype), AFFINE)
    every(slices, PixelPaddingValue=stored)
    for made in slices:
        made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert read_series(save_all(slices, tmp_path)).padding == (stored - 100, stored - 100)


def test_padding_that_slices_do_not_share_is_none(tmp_path):
    slices = slices_of(numbers(), AFFINE)
    for made in slices[1:]:
        made.add_new("PixelPaddingValue", "SS", -2000)
    assert read_series(save_all(slices, tmp_path / "one_without")).padding is None
    slices = slices_of(numbers(), AFFINE, [1, 2, 3, 4])
    for made in slices:
        made.add_new("PixelPaddingValue", "SS", -2000)
    assert read_series(save_all(slices, tmp_path / "own_slopes")).padding is None
