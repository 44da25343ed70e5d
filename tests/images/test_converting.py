"""Every format into every other: the same values at the same places, for SimpleITK too."""

import os
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import example, given

from iconet.errors import InputError
from iconet.images import (
    check_output,
    from_array,
    from_nibabel,
    read,
    scaled_affine,
    to_nibabel,
    write,
)

from .grids import affines, blocks_to_world

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
TEXT_HEADED = SUFFIXES[2:]
VOXELS = np.array([[0, 0, 0], [5, 4, 3], [1, 3, 2]])
TYPES = {
    "u1": SimpleITK.sitkUInt8,
    "i1": SimpleITK.sitkInt8,
    "u2": SimpleITK.sitkUInt16,
    "i2": SimpleITK.sitkInt16,
    "u4": SimpleITK.sitkUInt32,
    "i4": SimpleITK.sitkInt32,
    "u8": SimpleITK.sitkUInt64,
    "i8": SimpleITK.sitkInt64,
    "f4": SimpleITK.sitkFloat32,
    "f8": SimpleITK.sitkFloat64,
}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def stored(shape=(6, 5, 4), dtype="i2"):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def an_itk_image(affine, dtype="i2"):
    """An image that SimpleITK places where a RAS+ affine does."""
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(stored(dtype=dtype).T)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def world(image, voxels):
    """RAS+ millimetres, by SimpleITK's own arithmetic."""
    points = [
        image.TransformContinuousIndexToPhysicalPoint(np.asarray(voxel, float).tolist())
        for voxel in voxels
    ]
    return np.array(points) * [-1, -1, 1]


def at(affine, voxels):
    return np.asarray(voxels) @ affine[:3, :3].T + affine[:3, 3]


def doubled(scan):
    """Nearest-neighbour enlargement in plane: the new voxels surround their old one."""
    array = scan.array.repeat(2, 0).repeat(2, 1)
    return replace(scan, array=array, affine=scaled_affine(scan.affine, (2, 2, 1)))


def a_series(path, shape=(6, 5, 4, 3), *, step=2.5, unit="sec"):
    image = nibabel.Nifti1Image(stored(shape), np.diag([-2, 1.5, 3, 1.0]))
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = step
    image.to_filename(path)
    return path


# A half turn, whose rounded quaternion nibabel takes for none.
AXIS = np.array([0, 0.95084435, 0.30966922])
HALF_TURN = np.eye(4)
HALF_TURN[:3, :3] = 2 * np.outer(AXIS, AXIS) - np.eye(3)


@pytest.mark.parametrize("suffix", TEXT_HEADED)
@given(affine=affines())
@example(affine=HALF_TURN)
def test_what_simpleitk_wrote_is_where_it_put_it(tmp_path, suffix, affine):
    path = tmp_path / f"in{suffix}"
    SimpleITK.WriteImage(an_itk_image(affine), str(path))
    scan = read(path)
    np.testing.assert_array_equal(scan.array, stored())
    np.testing.assert_allclose(at(scan.affine, VOXELS), at(affine, VOXELS), atol=1e-9)
    np.testing.assert_allclose(at(scan.header.get_best_affine(), VOXELS), at(affine, VOXELS))


@pytest.mark.parametrize("before", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("after", [".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
@given(affine=affines())
def test_enlarged_scans_of_one_format_are_where_they_were_in_another(
    tmp_path, before, after, affine
):
    source, target = tmp_path / f"in{before}", tmp_path / f"out{after}"
    original = an_itk_image(affine)
    SimpleITK.WriteImage(original, str(source))
    scan = read(source)
    write(doubled(scan), target, like=scan)
    image = SimpleITK.ReadImage(str(target))
    blocks = VOXELS * [2, 2, 1] + [0.5, 0.5, 0]
    # NIfTI-1 rounds to float32; nothing else loses anything.
    exact = ".nii.gz" not in (before, after)
    np.testing.assert_allclose(
        world(image, blocks), world(original, VOXELS), atol=1e-9 if exact else 1e-4
    )
    array = SimpleITK.GetArrayFromImage(image).T
    np.testing.assert_array_equal(array, stored().repeat(2, 0).repeat(2, 1))
    assert image.GetPixelID() == SimpleITK.sitkInt16


@pytest.mark.parametrize("suffix", TEXT_HEADED)
@given(affine=affines(sheared=True))
def test_sheared_grids_are_kept(tmp_path, suffix, affine):
    nibabel.Nifti2Image(stored(), affine).to_filename(tmp_path / "in.nii")
    scan = read(tmp_path / "in.nii")
    write(doubled(scan), tmp_path / f"out{suffix}", like=scan)
    back = read(tmp_path / f"out{suffix}")
    found = blocks_to_world(back.affine, (2, 2, 1), VOXELS)
    np.testing.assert_allclose(found, at(affine, VOXELS), atol=1e-9)
    write(back, tmp_path / "back.nii", like=back)
    image = nibabel.load(tmp_path / "back.nii")
    found = blocks_to_world(image.affine, (2, 2, 1), VOXELS)
    np.testing.assert_allclose(found, at(affine, VOXELS), atol=1e-4)
    if image.header["qform_code"]:  # programs that prefer the quaternion see the same
        found = blocks_to_world(image.get_qform(), (2, 2, 1), VOXELS)
        np.testing.assert_allclose(found, at(affine, VOXELS), atol=2e-3)


@pytest.mark.parametrize("suffix", TEXT_HEADED)
@pytest.mark.parametrize("dtype", TYPES)
def test_number_types_are_kept_both_ways(tmp_path, suffix, dtype):
    image = an_itk_image(np.diag([-2, 1.5, 3, 1.0]), dtype)
    SimpleITK.WriteImage(image, str(tmp_path / f"in{suffix}"))
    scan = read(tmp_path / f"in{suffix}")
    assert (scan.dtype.newbyteorder("="), scan.slope, scan.inter) == (np.dtype(dtype), 1, 0)
    np.testing.assert_array_equal(scan.array, stored(dtype=dtype))
    write(scan, tmp_path / f"out{suffix}", like=scan)
    back = SimpleITK.ReadImage(str(tmp_path / f"out{suffix}"))
    assert back.GetPixelID() == TYPES["f4" if dtype == "f8" else dtype]
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(back).T, stored())
    write(scan, tmp_path / "out.nii", like=scan)
    assert nibabel.load(tmp_path / "out.nii").get_data_dtype() == ("f4" if dtype == "f8" else dtype)


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_integers_are_rounded_and_saturated(tmp_path, suffix):
    scan = from_nibabel(nibabel.Nifti1Image(stored(dtype="u1"), np.eye(4)))
    outside = scan.array.copy()
    outside[0, 0] = [-3, 0.6, 254.7, 999]
    write(replace(scan, array=outside), tmp_path / f"out{suffix}", like=scan)
    np.testing.assert_array_equal(read(tmp_path / f"out{suffix}").array[0, 0], [0, 1, 255, 255])


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_values_that_had_a_slope_become_float32(tmp_path, suffix):
    image = nibabel.Nifti1Image(stored(), np.eye(4))
    image.header.set_slope_inter(0.25, -1024)
    image.to_filename(tmp_path / "in.nii")
    scan = read(tmp_path / "in.nii")
    write(scan, tmp_path / f"out{suffix}", like=scan)
    back = SimpleITK.ReadImage(str(tmp_path / f"out{suffix}"))
    assert back.GetPixelID() == SimpleITK.sitkFloat32
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(back).T, scan.array)


@pytest.mark.parametrize("suffix", TEXT_HEADED)
@pytest.mark.parametrize(("step", "unit"), [(2.5, "sec"), (2500, "msec"), (0, "unknown")])
def test_series_and_their_time_step_go_there_and_back(tmp_path, suffix, step, unit):
    scan = read(a_series(tmp_path / "in.nii.gz", step=step, unit=unit))
    write(doubled(scan), tmp_path / f"out{suffix}", like=scan)
    back = read(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(back.array[::2, 1::2], scan.array)
    write(back, tmp_path / "back.nii", like=back)
    header = nibabel.load(tmp_path / "back.nii").header
    assert header.get_data_shape() == (12, 10, 4, 3)
    assert header.get_xyzt_units() == ("mm", "sec")
    if step:
        assert header["pixdim"][4] == 2.5


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_series_for_simpleitk(tmp_path, suffix):
    scan = read(a_series(tmp_path / "in.nii.gz"))
    write(scan, tmp_path / f"out{suffix}", like=scan)
    image = SimpleITK.ReadImage(str(tmp_path / f"out{suffix}"))
    if suffix in (".mha", ".mhd"):
        assert image.GetSpacing() == (2, 1.5, 3, 2.5)
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).T, scan.array)
    else:  # ITK takes the volumes of a NRRD for the components of a vector
        assert image.GetSpacing() == (2, 1.5, 3)
        array = np.moveaxis(SimpleITK.GetArrayFromImage(image), -1, 0).T
        np.testing.assert_array_equal(array, scan.array)
    voxel = [1, 2, 3, 0][: image.GetDimension()]
    found = image.TransformIndexToPhysicalPoint(voxel)[:3] * np.array([-1, -1, 1])
    np.testing.assert_allclose(found, at(scan.affine, [1, 2, 3]))


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_flat_images_stay_flat_where_two_dimensions_can_say_it(tmp_path, suffix):
    flat = np.diag([-2, -1.5, 1, 1.0])
    flat[:2, 3] = 7, -5
    oblique = flat.copy()
    oblique[2, :] = 0.5, 0, 1, 30
    for affine, shape in ((flat, (6, 5)), (oblique, (6, 5, 1))):
        nibabel.Nifti2Image(stored((6, 5)), affine).to_filename(tmp_path / "in.nii")
        scan = read(tmp_path / "in.nii")
        write(scan, tmp_path / f"out{suffix}", like=scan)
        back = read(tmp_path / f"out{suffix}")
        np.testing.assert_array_equal(back.array, scan.array.reshape(shape))
        np.testing.assert_allclose(
            at(back.affine, [[0, 0, 0], [5, 4, 0]]), at(affine, [[0, 0, 0], [5, 4, 0]])
        )
        image = SimpleITK.ReadImage(str(tmp_path / f"out{suffix}"))
        assert image.GetSize() == shape
        SimpleITK.WriteImage(image, str(tmp_path / f"itk{suffix}"))
        again = read(tmp_path / f"itk{suffix}")
        np.testing.assert_allclose(again.affine, back.affine)


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_python_gets_a_nifti1_image_and_large_ones_nifti2(tmp_path, suffix):
    SimpleITK.WriteImage(an_itk_image(np.diag([-2, 1.5, 3, 1.0])), str(tmp_path / f"in{suffix}"))
    scan = read(tmp_path / f"in{suffix}")
    image = to_nibabel(doubled(scan))
    assert type(image) is nibabel.Nifti1Image
    assert (image.header["sform_code"], image.header["qform_code"]) == (1, 1)
    np.testing.assert_array_equal(image.get_fdata()[::2, ::2], stored())
    long = replace(scan, array=np.zeros((40000, 2, 1), np.float32))
    write(long, tmp_path / "long.nii.gz", like=scan)
    assert type(nibabel.load(tmp_path / "long.nii.gz")) is nibabel.Nifti2Image


def test_gradients_go_beside_the_output_under_its_name(tmp_path):
    scan = read(a_series(tmp_path / "dwi.nii.gz"))
    (tmp_path / "dwi.bval").write_bytes(b"0 1000 1000\n")
    (tmp_path / "dwi.bvec").write_bytes(b"0 1 0\r\n0 0 1\r\n0 0 0\r\n")
    for name, stem in (("big.nii.gz", "big"), ("large.v2.nii", "large.v2"), ("it.mha", "it")):
        for _ in range(2):  # an earlier output is replaced
            write(doubled(scan), tmp_path / name, like=scan)
        for suffix in (".bval", ".bvec"):
            copy = tmp_path / (stem + suffix)
            assert copy.read_bytes() == (tmp_path / f"dwi{suffix}").read_bytes()
    # In the input's own name there is nothing to do, and nothing is lost.
    write(doubled(scan), tmp_path / "dwi.mha", like=scan)
    assert (tmp_path / "dwi.bval").read_bytes() == b"0 1000 1000\n"


def test_gradients_of_something_else_are_not_replaced(tmp_path):
    scan = read(a_series(tmp_path / "dwi.nii.gz"))
    (tmp_path / "dwi.bval").write_text("0 1000 1000\n")
    (tmp_path / "other.bval").write_text("mine")
    with pytest.raises(InputError, match=r"other\.bval beside it would be replaced"):
        check_output(tmp_path / "other.nii.gz", like=scan)
    with pytest.raises(InputError, match=r"other\.bval beside it would be replaced"):
        write(scan, tmp_path / "other.nii.gz", like=scan)
    assert (tmp_path / "other.bval").read_text() == "mine"
    assert not (tmp_path / "other.nii.gz").exists()


def test_single_volumes_have_no_gradients(tmp_path):
    nibabel.Nifti1Image(stored(), np.eye(4)).to_filename(tmp_path / "t1.nii")
    (tmp_path / "t1.bval").write_text("0")
    scan = read(tmp_path / "t1.nii")
    write(scan, tmp_path / "out.nii", like=scan)
    assert not (tmp_path / "out.bval").exists()


def test_the_voxels_of_a_detached_header_replace_nothing_of_others(tmp_path):
    SimpleITK.WriteImage(an_itk_image(np.eye(4)), str(tmp_path / "in.mhd"))
    before = (tmp_path / "in.raw").read_bytes()
    scan = read(tmp_path / "in.mhd")
    assert scan.data_path == tmp_path / "in.raw"
    for output in ("in.nhdr", "in.mhd"):
        with pytest.raises(InputError, match=r"input"):
            write(scan, tmp_path / output, like=scan)
    write(scan, tmp_path / "out.mhd", like=scan)
    write(scan, tmp_path / "out.mhd", like=scan)  # an earlier output is replaced
    with pytest.raises(InputError, match=r"out\.raw beside it would be replaced"):
        write(scan, tmp_path / "out.nhdr", like=scan)
    (tmp_path / "mine.raw").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.raw beside it would be replaced"):
        write(scan, tmp_path / "mine.nhdr", like=scan)
    assert (tmp_path / "in.raw").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["in.mhd", "in.raw", "mine.raw", "out.mhd", "out.raw"]


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_names_that_are_not_ascii(tmp_path, suffix):
    SimpleITK.WriteImage(an_itk_image(np.eye(4)), str(tmp_path / "in.mha"))
    scan = read(tmp_path / "in.mha")
    path = tmp_path / f"ünï cödé out{suffix.upper()}"
    write(scan, path, like=scan)
    np.testing.assert_array_equal(read(path).array, stored())
    if suffix in (".nhdr", ".mhd"):
        with pytest.raises(InputError, match="simpler output name"):
            write(scan, tmp_path / f"a\nb{suffix}", like=scan)


@pytest.mark.parametrize("suffix", TEXT_HEADED)
def test_the_same_scan_gives_the_same_bytes(tmp_path, suffix):
    SimpleITK.WriteImage(an_itk_image(np.eye(4)), str(tmp_path / "in.mha"))
    scan = read(tmp_path / "in.mha")
    contents = []
    for _ in range(2):
        write(scan, tmp_path / f"out{suffix}", like=scan)
        contents.append((tmp_path / f"out{suffix}").read_bytes())
    assert contents[0] == contents[1]


def test_what_has_no_place_in_the_world(tmp_path):
    array = from_array(stored(), path=tmp_path / "a.npy")
    for suffix, kind in ((".nii", "NIfTI"), (".mha", "MetaImage")):
        with pytest.raises(InputError, match=f"which {kind} needs"):
            write(array, tmp_path / f"out{suffix}", like=array)
    write(array, tmp_path / "out.nrrd", like=array)
    back = read(tmp_path / "out.nrrd")
    assert (back.affine, back.header, back.dtype) == (None, None, np.dtype("<i2"))
    np.testing.assert_array_equal(back.array, stored())
    SimpleITK.WriteImage(an_itk_image(np.eye(4)), str(tmp_path / "in.mha"))
    scan = read(tmp_path / "in.mha")
    with pytest.raises(InputError, match="cannot hold the geometry"):
        write(scan, tmp_path / "out.png", like=scan)
    write(scan, tmp_path / "out.npy", like=scan)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), stored())
