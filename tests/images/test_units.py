"""Lengths and times that files have in other units are millimetres and seconds everywhere else."""

import nibabel
import numpy as np
import pytest
import SimpleITK

from iconet.images import from_nibabel, read, scaled_affine, write
from iconet.images.scan import Scan
from iconet.images.units import millimetres, seconds

from .text_headed import refusal

AFFINE = np.array([[-50.0, 0, 0, 90], [0, 40, 0, -70], [0, 0, 200, 30], [0, 0, 0, 1]])
VALUES = np.arange(5 * 4 * 3, dtype="<i2").reshape((5, 4, 3), order="F")


def nifti(path, unit, time="sec", values=VALUES, step=1.0):
    image = nibabel.Nifti1Image(values, AFFINE)
    image.header.set_xyzt_units(unit, time)
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    if values.ndim == 4:
        image.header["pixdim"][4] = step
    image.to_filename(path)
    return path


def enlarged(scan):
    """What becomes of a scan, without a network."""
    values = np.repeat(np.repeat(scan.array, 2, 0), 2, 1)
    return Scan(values, affine=scaled_affine(scan.affine, (2, 2, 1)))


@pytest.mark.parametrize(("unit", "mm"), [("micron", 1e-3), ("meter", 1e3), ("mm", 1), (0, 1)])
def test_nifti_is_in_millimetres_and_written_in_its_own_unit(tmp_path, unit, mm):
    path = nifti(tmp_path / "a.nii", unit)
    scan = read(path)
    itk = SimpleITK.ReadImage(str(path))
    np.testing.assert_allclose(scan.spacing, itk.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(scan.affine, np.diag([mm, mm, mm, 1]) @ AFFINE, rtol=1e-6)
    assert len(scan.remarks) == (mm != 1)
    bigger = enlarged(scan)
    for name in ("out.nii.gz", "out.nrrd", "out.mha"):
        write(bigger, tmp_path / name, like=scan)
        made = SimpleITK.ReadImage(str(tmp_path / name))
        corner = made.TransformIndexToPhysicalPoint((9, 7, 2))
        expected = bigger.affine @ [9, 7, 2, 1] * [-1, -1, 1, 1]
        np.testing.assert_allclose(corner, expected[:3], rtol=1e-5, atol=1e-4 * mm)
        np.testing.assert_allclose(read(tmp_path / name).affine, bigger.affine, rtol=1e-5)
    again = nibabel.load(tmp_path / "out.nii.gz")
    assert again.header.get_xyzt_units()[0] == (unit or "unknown")
    np.testing.assert_allclose(again.header.get_zooms(), (25, 20, 200))
    np.testing.assert_allclose(again.affine, scaled_affine(AFFINE, (2, 2, 1)), rtol=1e-6)


def test_an_image_in_memory_is_read_like_its_file(tmp_path):
    path = nifti(tmp_path / "a.nii", "micron")
    np.testing.assert_array_equal(from_nibabel(nibabel.load(path)).affine, read(path).affine)
    assert from_nibabel(nibabel.load(path)).remarks == read(path).remarks


@pytest.mark.parametrize(
    ("unit", "seconds"), [("msec", 2.5), ("usec", 0.0025), ("sec", 2500), ("hz", 1)]
)
def test_times_become_seconds_elsewhere_and_stay_in_nifti(tmp_path, unit, seconds):
    path = nifti(tmp_path / "a.nii", "mm", unit, np.stack([VALUES] * 2, -1), 2500.0)
    scan = read(path)
    write(scan, tmp_path / "out.mha", like=scan)
    made = SimpleITK.ReadImage(str(tmp_path / "out.mha"))
    assert made.GetSpacing()[3] == pytest.approx(seconds)
    write(scan, tmp_path / "out.nii", like=scan)
    header = nibabel.load(tmp_path / "out.nii").header
    assert (header["pixdim"][4], header.get_xyzt_units()[1]) == (2500, unit)


def test_codes_that_nifti_does_not_have_mean_nothing(tmp_path):
    path = nifti(tmp_path / "a.nii", "mm")
    content = bytearray(path.read_bytes())
    content[123] = 7 + 56
    path.write_bytes(content)
    np.testing.assert_allclose(read(path).affine, AFFINE)


def nrrd(path, *lines, sizes="5 4 3", directions="(50,0,0) (0,40,0) (0,0,200)", values=VALUES):
    text = ["NRRD0004", "type: short", f"dimension: {len(sizes.split())}", f"sizes: {sizes}"]
    if directions:
        text += ["space: left-posterior-superior", "space origin: (10,20,30)"]
        text += [f"space directions: {directions}"]
    text += ["endian: little", "encoding: raw", *lines]
    header = ("\n".join(text) + "\n\n").encode()
    path.write_bytes(header + values.tobytes(order="F"))
    return path


@pytest.mark.parametrize(
    ("unit", "mm"), [("um", 1e-3), ("\u00b5m", 1e-3), ("mm", 1), ("cm", 10), ("m", 1e3), ("", 1)]
)
def test_space_units_of_nrrd(tmp_path, unit, mm):
    path = nrrd(tmp_path / "a.nrrd", f'space units: "{unit}" "{unit}" "{unit}"')
    scan = read(path)
    np.testing.assert_allclose(scan.spacing, np.array([50, 40, 200]) * mm)
    np.testing.assert_allclose(scan.affine[:3, 3], np.array([-10, -20, 30]) * mm)
    write(enlarged(scan), tmp_path / "out.nrrd", like=scan)
    made = SimpleITK.ReadImage(str(tmp_path / "out.nrrd"))
    np.testing.assert_allclose(made.GetSpacing(), np.array([25, 20, 200]) * mm)


def test_each_axis_of_nrrd_has_its_own_unit(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", 'space units: "um" "mm" cm')
    np.testing.assert_allclose(read(path).spacing, [0.05, 40, 2000])
    series = np.stack([VALUES] * 2, -1)
    vectors = "(50,0,0) (0,40,0) (0,0,200) none"
    lines = ['space units: "um" "um" "um"', "spacings: nan nan nan 250"]
    lines += ['units: "" "" "" "ms"', "kinds: domain domain domain list"]
    path = nrrd(tmp_path / "b.nrrd", *lines, sizes="5 4 3 2", directions=vectors, values=series)
    scan = read(path)
    np.testing.assert_allclose(scan.spacing, [0.05, 0.04, 0.2])
    assert scan.header["pixdim"][4] == 0.25
    lines = ["spacings: 50 40 200", 'units: "um" "um" "um"']
    path = nrrd(tmp_path / "c.nrrd", *lines, directions=None)
    np.testing.assert_allclose(read(path).spacing, [0.05, 0.04, 0.2])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('space units: "pixel" "pixel" "pixel"', "not a length"),
        ('space units: "mm"', "its space units and its space disagree"),
    ],
)
def test_units_of_nrrd_that_are_none(tmp_path, line, said):
    refusal(nrrd(tmp_path / "a.nrrd", line), said)


def test_distance_units_of_metaimage(tmp_path):
    text = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nDistanceUnits = {}\n"
        "ElementSpacing = 50 40 200\nOffset = 10 20 30\nDimSize = 5 4 3\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path = tmp_path / "a.mha"
    for unit, mm in (("um", 1e-3), ("mm", 1), ("cm", 10), ("?", 1)):
        path.write_bytes(text.format(unit).encode() + VALUES.tobytes(order="F"))
        np.testing.assert_allclose(read(path).spacing, np.array([50, 40, 200]) * mm)
        np.testing.assert_allclose(read(path).affine[:3, 3], np.array([-10, -20, 30]) * mm)
    path.write_bytes(text.format("furlong").encode() + VALUES.tobytes(order="F"))
    refusal(path, "not a length")


def test_names_of_units():
    assert millimetres("micron") == millimetres(" UM ") == 1e-3
    assert (millimetres("pixel"), seconds("mm"), seconds("ms")) == (None, None, 1e-3)
