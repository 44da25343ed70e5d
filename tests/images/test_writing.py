import contextlib
import errno
import os
import subprocess
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip
from PIL import Image

from iconet.errors import InputError
from iconet.images import (
    Scan,
    check_output,
    from_array,
    from_nibabel,
    read,
    scaled_affine,
    to_array,
    to_nibabel,
    write,
)

from .grids import affines, blocks_to_world


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def a_scan(folder, *, dtype=np.int16, slope=1.0, inter=0.0, shape=(6, 5, 4), affine=None, **kw):
    """A scan read from a NIfTI file with these stored numbers."""
    kind = kw.pop("kind", nibabel.Nifti1Image)
    header = kind.header_class(endianness=kw.pop("endian", "<"))
    header.set_data_dtype(dtype)
    affine = np.diag([-2, 1.5, 3, 1.0]) if affine is None else affine
    stored = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    image = kind(stored, affine, header)
    image.header.set_slope_inter(slope, inter)
    image.to_filename(folder / "in.nii.gz")
    return read(folder / "in.nii.gz")


def doubled(scan):
    """Nearest-neighbour enlargement in plane: the new voxels surround their old one."""
    array = scan.array.repeat(2, 0).repeat(2, 1)
    return replace(scan, array=array, affine=scaled_affine(scan.affine, (2, 2, 1)))


def refusal(scan, path, like=None):
    """The line with which writing is refused; nothing new is left in the folder."""
    before = sorted(os.listdir(path.parent)) if path.parent.is_dir() else None
    with pytest.raises(InputError) as error:
        write(scan, path, like=like or scan)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert len(line.splitlines()) == 1
    assert ";" in line, "no remedy"
    assert before is None or sorted(os.listdir(path.parent)) == before
    return line


VOXELS = np.array([[0, 0, 0], [5, 4, 3], [1, 3, 2]])


@given(affine=affines())
def test_voxels_stay_where_they_were_for_simpleitk(tmp_path, affine):
    scan = a_scan(tmp_path, affine=affine)
    write(doubled(scan), tmp_path / "out.nii.gz", like=scan)
    before = SimpleITK.ReadImage(str(tmp_path / "in.nii.gz"))
    after = SimpleITK.ReadImage(str(tmp_path / "out.nii.gz"))
    for voxel in VOXELS:
        expected = before.TransformContinuousIndexToPhysicalPoint(voxel.astype(float).tolist())
        block = (voxel * [2, 2, 1] + [0.5, 0.5, 0]).tolist()
        found = after.TransformContinuousIndexToPhysicalPoint(block)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        # LPS is RAS with two signs changed: the affine itself agrees too, not only the difference.
        ras = affine[:3, :3] @ voxel + affine[:3, 3]
        np.testing.assert_allclose(found, ras * [-1, -1, 1], atol=1e-4)
    # The values are where they were as well: no axis is flipped or exchanged.
    array = SimpleITK.GetArrayFromImage(after).T
    np.testing.assert_array_equal(array[::2, ::2], SimpleITK.GetArrayFromImage(before).T)


@given(affine=affines(sheared=True))
def test_voxels_stay_where_they_were_in_sheared_scans(tmp_path, affine):
    scan = a_scan(tmp_path, affine=affine)
    write(doubled(scan), tmp_path / "out.nii", like=scan)
    image = nibabel.load(tmp_path / "out.nii")
    np.testing.assert_allclose(
        blocks_to_world(image.affine, (2, 2, 1), VOXELS),
        VOXELS @ affine[:3, :3].T + affine[:3, 3],
        atol=1e-4,
    )


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "OUT.NII.GZ", "ünï cödé out.nii.gz"])
def test_nifti_comes_back_from_independent_readers(tmp_path, kind, endian, name):
    scan = a_scan(tmp_path, kind=kind, endian=endian, shape=(6, 5, 4, 3))
    path = tmp_path / name
    write(scan, path, like=scan)
    image = nibabel.load(path)
    assert type(image) is kind
    assert image.get_data_dtype() == scan.dtype
    np.testing.assert_array_equal(image.get_fdata(), scan.array)
    if kind is nibabel.Nifti1Image:  # SimpleITK does not read NIfTI-2
        itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
        np.testing.assert_array_equal(itk.T, scan.array)
    assert sorted(os.listdir(tmp_path)) == sorted(["in.nii.gz", name])


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4"])
def test_slope_and_intercept_return_and_values_keep_their_meaning(tmp_path, dtype):
    scan = a_scan(tmp_path, dtype=dtype, slope=0.25, inter=-1024.0)
    write(doubled(scan), tmp_path / "out.nii.gz", like=scan)
    image = nibabel.load(tmp_path / "out.nii.gz")
    assert (image.dataobj.slope, image.dataobj.inter) == (0.25, -1024)
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(image.get_fdata()[::2, 1::2], scan.array)
    itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out.nii.gz"))).T
    np.testing.assert_array_equal(itk[::2, 1::2], scan.array)


@given(
    slope=st.floats(2**-10, 1000, width=32) | st.floats(-1000, -(2**-10), width=32),
    inter=st.floats(-2000, 2000, width=32),
    dtype=st.sampled_from(["u1", "i2", "u2"]),
)
def test_what_was_stored_is_stored_again_whatever_the_scaling(tmp_path, slope, inter, dtype):
    # float32 values tell neighbouring integers apart as long as the intercept does not drown them.
    inter = float(np.clip(inter, -50 * abs(slope), 50 * abs(slope)).astype(np.float32))
    scan = a_scan(tmp_path, dtype=dtype, slope=slope, inter=inter)
    write(scan, tmp_path / "out.nii", like=scan)
    stored = nibabel.load(tmp_path / "out.nii").dataobj.get_unscaled()
    np.testing.assert_array_equal(
        stored, nibabel.load(tmp_path / "in.nii.gz").dataobj.get_unscaled()
    )


@pytest.mark.parametrize("suffix", ["nii.gz", "npy", "png", "tif"])
def test_integers_are_rounded_and_saturated(tmp_path, suffix):
    values = np.array([[-7.6, -0.4, 0.4], [0.6, 254.4, 254.6], [255.4, 256, 1e9]], np.float32)
    stored = [[0, 0, 0], [1, 254, 255], [255, 255, 255]]
    if suffix == "nii.gz":
        like = a_scan(tmp_path, dtype=np.uint8, shape=(3, 3))
    else:
        like = from_array(np.zeros((3, 3), np.uint8))
    write(replace(like, array=values), tmp_path / f"a.{suffix}", like=like)
    scan = read(tmp_path / f"a.{suffix}")
    assert scan.dtype == np.uint8
    np.testing.assert_array_equal(scan.array, stored)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u4", "i4", "u8", "i8"])
def test_saturation_never_wraps_around(dtype):
    limits = np.iinfo(dtype)
    scan = replace(from_array(np.zeros((1, 2), dtype)), array=np.array([[-1e30, 1e30]], np.float32))
    low, high = to_array(scan)[0].tolist()
    assert low == limits.min
    assert limits.max * (1 - 1e-15) <= high <= limits.max


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floating_point_is_written_as_float32_without_scaling(tmp_path, dtype):
    scan = a_scan(tmp_path, dtype=dtype, slope=3.0, inter=1.0)
    write(replace(scan, array=scan.array + np.float32(0.125)), tmp_path / "o.nii", like=scan)
    image = nibabel.load(tmp_path / "o.nii")
    assert image.get_data_dtype() == np.float32
    assert (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    np.testing.assert_array_equal(image.get_fdata(), scan.array + 0.125)


def test_the_header_is_kept(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), np.diag([2, 2, 3, 1.0]))
    image.header["descrip"] = b"resting state"
    image.header["pixdim"][4] = 2.2
    image.header.set_xyzt_units("mm", "sec")
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"hello"))
    image.set_sform(image.affine, code=4)
    image.set_qform(image.affine, code=1)
    image.to_filename(tmp_path / "in.nii")
    scan = read(tmp_path / "in.nii")
    write(doubled(scan), tmp_path / "out.nii.gz", like=scan)
    header = nibabel.load(tmp_path / "out.nii.gz").header
    assert header["descrip"] == b"resting state"
    assert header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(header.get_zooms(), (1, 1, 3, 2.2), rtol=1e-6)
    assert (header["qform_code"], header["sform_code"]) == (1, 4)
    assert header.extensions[0].get_content().startswith(b"hello")
    np.testing.assert_array_equal(read(tmp_path / "out.nii.gz").array, 0)


def test_npy_holds_the_values_where_it_cannot_hold_their_scaling(tmp_path):
    for scan, dtype in (
        (a_scan(tmp_path), np.int16),
        (a_scan(tmp_path, slope=0.5), np.float32),
        (a_scan(tmp_path, dtype=np.float64), np.float32),
        (a_scan(tmp_path, endian=">"), np.int16),
    ):
        write(scan, tmp_path / "out.npy", like=scan)
        array = np.load(tmp_path / "out.npy")
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, scan.array)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures(tmp_path, dtype, suffix):
    data = (np.arange(54).reshape(6, 9) * 1201).astype(dtype)
    scan = from_array(data)
    write(scan, tmp_path / f"a.{suffix}", like=scan)
    again = read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(again.array, data)
    assert again.dtype.itemsize == data.dtype.itemsize
    # For an independent reader, rows are rows.
    itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"a.{suffix}")))
    np.testing.assert_array_equal(itk, data)


def test_images_of_nibabel(tmp_path):
    for scan, dtype in ((a_scan(tmp_path), np.int16), (a_scan(tmp_path, slope=0.5), np.float32)):
        image = to_nibabel(doubled(scan))
        assert image.get_data_dtype() == dtype
        np.testing.assert_allclose(image.affine, scaled_affine(scan.affine, (2, 2, 1)), atol=1e-6)
        np.testing.assert_array_equal(image.get_fdata()[::2, ::2], scan.array)
        image.to_filename(tmp_path / "out.nii.gz")
        np.testing.assert_array_equal(read(tmp_path / "out.nii.gz").array, doubled(scan).array)
        again = from_nibabel(image)
        np.testing.assert_array_equal(again.array, doubled(scan).array)
    with pytest.raises(InputError, match="geometry"):
        to_nibabel(from_array(np.zeros((3, 3))))


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    scan = a_scan(tmp_path)
    write(scan, tmp_path / "a.nii.gz", like=scan)
    write(scan, tmp_path / "b.nii.gz", like=scan)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_an_existing_output_is_replaced_and_a_link_followed(tmp_path):
    scan = a_scan(tmp_path)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "old.nii").write_bytes(b"old")
    (tmp_path / "out.nii").symlink_to(tmp_path / "archive" / "old.nii")
    write(scan, tmp_path / "out.nii", like=scan)
    assert (tmp_path / "out.nii").is_symlink()
    np.testing.assert_array_equal(read(tmp_path / "archive" / "old.nii").array, scan.array)


def test_the_umask_decides_who_may_read(tmp_path):
    scan = a_scan(tmp_path)
    old = os.umask(0o027)
    try:
        write(scan, tmp_path / "out.nii", like=scan)
    finally:
        os.umask(old)
    assert (tmp_path / "out.nii").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_the_input_is_never_overwritten(tmp_path, link):
    scan = a_scan(tmp_path)
    original = scan.path.read_bytes()
    output = scan.path if link is None else tmp_path / "out.nii.gz"
    if link is not None:
        link(scan.path, output)
    assert "is the input" in refusal(scan, output)
    with pytest.raises(InputError, match="is the input"):
        check_output(output, [tmp_path / "other.nii", scan.path])
    assert scan.path.read_bytes() == original


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    nifti, flat = a_scan(tmp_path), a_scan(tmp_path, shape=(6, 5))
    picture = from_array(np.zeros((6, 5), np.uint8))
    for scan, name, said in (
        (nifti, "a.png", r"cannot hold the geometry"),
        (flat, "a.tif", r"cannot hold the geometry"),
        (picture, "a.nii.gz", r"no spacing"),
        (from_array(np.zeros((6, 5, 4), np.uint8)), "a.png", r"3-D"),
        (from_array(np.zeros((6, 5), np.float32)), "a.png", r"float32; write \.npy"),
        (from_array(np.zeros((6, 5), np.int16)), "a.png", r"int16; write \.npy"),
        (from_array(np.zeros((6, 5), np.int32)), "a.tiff", r"int32; write \.npy"),
        (picture, "a.jpg", r"one of \.nii\.gz"),
        (picture, "a", r"one of \.nii\.gz"),
    ):
        with pytest.raises(InputError, match=said):
            check_output(tmp_path / name, like=scan)
        refusal(scan, tmp_path / name)


def test_places_where_nothing_can_be_written(tmp_path):
    scan = a_scan(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder.nii").mkdir()
    for place, said in (
        ("missing/out.nii", "create it first"),
        ("file/out.nii", "not a folder"),
        ("folder.nii", "is a folder"),
    ):
        assert said in refusal(scan, tmp_path / place)
        with pytest.raises(InputError, match=said):
            check_output(tmp_path / place)
    (tmp_path / ("x" * 250 + ".nii")).touch()  # the longest name there can be is no problem
    write(scan, tmp_path / ("x" * 250 + ".nii"), like=scan)
    assert "too long" in refusal(scan, tmp_path / ("x" * 300 + ".nii"))


def test_checking_leaves_nothing_and_touches_nothing(tmp_path):
    (tmp_path / "old.nii").write_bytes(b"old")
    check_output(tmp_path / "old.nii")
    check_output(tmp_path / "new.nii", like=a_scan(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["in.nii.gz", "old.nii"]
    assert (tmp_path / "old.nii").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "cannot be written"),
    ],
)
@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy", "png"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(tmp_path, monkeypatch, number, said, suffix, call):
    scan = a_scan(tmp_path) if suffix.startswith("nii") else from_array(np.zeros((9, 9), np.uint8))
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(b"old")

    def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, failing)
    assert said in refusal(scan, path)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, RuntimeError, MemoryError])
def test_an_interruption_leaves_nothing(tmp_path, monkeypatch, interrupt):
    scan = a_scan(tmp_path)

    def interrupted(*_):
        raise interrupt

    monkeypatch.setattr(igzip.IGzipFile, "write", interrupted)
    with pytest.raises(interrupt):
        write(scan, tmp_path / "out.nii.gz", like=scan)
    assert os.listdir(tmp_path) == ["in.nii.gz"]


@contextlib.contextmanager
def mounted(folder, options):
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy", "tif"])
def test_a_disk_that_is_really_full(tmp_path, suffix):
    (tmp_path / "disk").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (600, 500)).astype(np.uint8)
    if suffix.startswith("nii"):
        scan = replace(a_scan(tmp_path, dtype="u1", shape=(600, 500)), array=noise)
    else:
        scan = from_array(noise)
    with mounted(tmp_path / "disk", "size=64k") as disk:
        assert "the disk is full" in refusal(scan, disk / f"out.{suffix}")


def test_a_disk_that_is_really_read_only(tmp_path):
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "ro") as disk:
        assert "read-only" in refusal(a_scan(tmp_path), disk / "out.nii")
        with pytest.raises(InputError, match="read-only"):
            check_output(disk / "out.nii")


def test_a_scan_does_not_change_by_being_written(tmp_path):
    scan = a_scan(tmp_path, slope=0.5)
    header, array = scan.header.copy(), scan.array.copy()
    write(scan, tmp_path / "out.nii", like=scan)
    assert scan.header.binaryblock == header.binaryblock
    np.testing.assert_array_equal(scan.array, array)


def test_a_new_scan_needs_only_values_and_affine(tmp_path):
    like = a_scan(tmp_path, slope=0.5)
    new = doubled(like)
    write(Scan(new.array, affine=new.affine), tmp_path / "out.nii", like=like)
    again = read(tmp_path / "out.nii")
    np.testing.assert_array_equal(again.array, new.array)
    assert (again.dtype, again.slope) == (np.int16, 0.5)


def test_png_is_what_pillow_reads(tmp_path):
    scan = from_array(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)
    write(scan, tmp_path / "a.png", like=scan)
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.size, picture.mode) == ((30, 20), "I;16")


def test_integers_are_scaled_back_where_the_source_has_a_slope(tmp_path):
    values = np.arange(0, 48, 2, dtype=np.int16).reshape(2, 3, 4)
    header = nibabel.Nifti1Image(values, np.eye(4)).header
    scan = Scan(values, np.eye(4), header, dtype=np.dtype(np.int16), slope=2.0)
    write(scan, tmp_path / "scaled.nii", like=scan)
    made = nibabel.load(tmp_path / "scaled.nii")
    np.testing.assert_array_equal(made.get_fdata(), values)
    np.testing.assert_array_equal(np.asarray(made.dataobj.get_unscaled()), values // 2)
