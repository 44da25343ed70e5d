"""Slices of a tilted gantry come to stand upright, and everything stays at its place."""

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from iconet.images.dicom.derived import write_series
from iconet.images.dicom.derived_header import Provenance
from iconet.images.dicom.series import read_series
from iconet.images.dicom.straighten import lean_of, upright, upright_shape

from ...images.grids import affines
from ...images.slices import AFFINE, OBLIQUE, REAL, every, numbers, save_all, slices_of


def leaning(affine, along_rows, along_columns):
    """The affine with a step that goes by so many pixels along each axis too."""
    made = affine.copy()
    made[:3, 2] += along_rows * affine[:3, 0] + along_columns * affine[:3, 1]
    return made


def blob(shape, affine, centre, width):
    """A Gaussian at a place in the world, in millimetres."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    return np.exp(-((places - centre) ** 2).sum(-1) / (2 * width**2)).astype(np.float32)


def centroid(values, affine):
    voxels = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    return (places * values[..., None]).sum((0, 1, 2)) / values.sum()


@given(affines(), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_a_landmark_stays_at_its_place_in_the_world(affine, rows, columns):
    sheared = leaning(affine, rows, columns)
    shape = (48, 44, 12)
    middle = sheared[:3, :3] @ (np.array(shape) - 1) / 2 + sheared[:3, 3]
    width = 4 * np.linalg.norm(affine[:3, :2], axis=0).max()
    values = blob(shape, sheared, middle, min(width, 12 * np.linalg.norm(affine[:3, :3])))
    new, straight = upright(values, sheared, padding=None)
    assert new.shape == upright_shape(sheared, shape)
    rows_, columns_, step = straight[:3, :3].T
    np.testing.assert_allclose([step @ rows_, step @ columns_], 0, atol=1e-6 * (step @ step) + 1e-9)
    # As an independent interpolation of the same function at the new places sees it.
    inside = blob(new.shape, straight, middle, min(width, 12 * np.linalg.norm(affine[:3, :3])))
    assert np.abs(new - inside)[new > 0.3].max(initial=0) < 0.03


def test_whole_pixels_move_as_they_are():
    values = numbers((6, 5, 4)).astype(np.float32)
    sheared = leaning(AFFINE, 0, 1.0)
    new, straight = upright(values, sheared, padding=None)
    assert new.shape == (6, 8, 4)
    for k in range(4):
        np.testing.assert_array_equal(new[:, k : k + 5, k], values[:, :, k])
        assert (np.delete(new[:, :, k], slice(k, k + 5), 1) == values.min()).all()
    np.testing.assert_allclose(straight, AFFINE, atol=1e-9)
    new, straight = upright(values, leaning(AFFINE, 0, -1.0), padding=None)
    np.testing.assert_allclose(straight[:3, 3], AFFINE[:3, 3] - 3 * AFFINE[:3, 1])


def test_padding_is_not_mixed_with_tissue():
    values = np.full((8, 8, 3), 40, np.float32)
    values[:2], values[:, 6:] = -2000, -2000
    new, _ = upright(values, leaning(AFFINE, 0.3, 0.3), padding=(-2000, -2000))
    assert set(np.unique(new)) == {-2000, 40}


def test_a_lean_within_rounding_is_none():
    assert lean_of(AFFINE) == 0
    assert lean_of(leaning(AFFINE, 0.004, 0)) == 0
    assert lean_of(OBLIQUE) == 0
    tilt = np.tan(np.radians(18.5)) * 3 / 1.5
    assert lean_of(leaning(AFFINE, 0, tilt)) == pytest.approx(18.5)


def test_a_tilted_series_is_put_upright_and_said_to_be(tmp_path):
    tilt = np.tan(np.radians(10)) * 3 / 1.5  # columns of 1.5 mm, slices every 3 mm
    sheared = leaning(AFFINE, 0, tilt)
    shape = (40, 44, 10)
    centre = sheared[:3, :3] @ [21, 20, 5] + sheared[:3, 3]
    stored = np.round(2000 * blob(shape, sheared, centre, 9)).astype(np.int16)
    slices = slices_of(stored, sheared, intercept=-1024)
    every(slices, GantryDetectorTilt=10)
    scan = read_series(save_all(slices, tmp_path / "in"))
    (line,) = scan.remarks
    assert line.startswith(f"{tmp_path / 'in'}: tilted by 10.0 degrees (gantry): its slices were")
    assert scan.array.shape == (40, 48, 10)
    assert scan.array.min() == -1024
    centre = centroid(stored, sheared)
    np.testing.assert_allclose(centroid(scan.array + 1024, scan.affine), centre, atol=0.02)
    provenance = Provenance("iconet", "1", None, None, 1.0)
    write_series(scan, scan.dicom, tmp_path / "out", provenance=provenance)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "out"))
    itk = SimpleITK.ReadImage(files)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(itk.GetDirection(), (3, 3)) * itk.GetSpacing()
    affine[:3, 3] = itk.GetOrigin()
    values = SimpleITK.GetArrayFromImage(itk).T + 1024.0
    np.testing.assert_allclose(
        centroid(values, np.diag([-1, -1, 1, 1]) @ affine), centre, atol=0.05
    )
    made = pydicom.dcmread(files[0])
    assert "GantryDetectorTilt" not in made  # or programs would straighten it again


def test_a_real_tilted_series(tmp_path):
    if not (REAL / "ct_head_ge").is_dir():
        pytest.skip(f"the real series are not in {REAL}")
    headers = {}
    for path in (REAL / "ct_head_ge").iterdir():
        image = pydicom.dcmread(path)
        if image.InstanceNumber <= 14:  # those of 4 mm
            shutil.copy(path, tmp_path)
            headers[image.InstanceNumber] = image
    scan = read_series(tmp_path)
    assert any("tilted by 18.5 degrees" in line for line in scan.remarks)
    for number, image in headers.items():  # a pixel of bone in every slice, by its own header
        values = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        row, column = np.unravel_index(np.argmax(values), values.shape)
        directions = np.reshape([float(x) for x in image.ImageOrientationPatient], (2, 3))
        spacing = [float(x) for x in image.PixelSpacing]
        place = np.array([float(x) for x in image.ImagePositionPatient])
        place = place + column * spacing[1] * directions[0] + row * spacing[0] * directions[1]
        at = np.linalg.inv(scan.affine) @ [-place[0], -place[1], place[2], 1]
        assert at[2] == pytest.approx(round(at[2]), abs=1e-3), number
        i, j, k = np.rint(at[:3]).astype(int)
        near = scan.array[i - 1 : i + 2, j - 1 : j + 2, k]
        assert near.max() > 0.8 * values.max()
