import errno
import gzip
import os
import struct
import zlib
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from iconet.errors import InputError
from iconet.images import Scan, from_array, from_nibabel, read, write
from iconet.upscaling.regrid import regrid, resize_in_plane

AFFINE = np.array([[-2, 0, 0, 90], [0, 1.5, 0.2, -70], [0, -0.2, 3, -40], [0, 0, 0, 1.0]])


def numbers(shape=(5, 7, 4), dtype=np.int16):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def save(path, data=None, *, slope=None, inter=0.0, kind=nibabel.Nifti1Image, endian="<"):
    """A NIfTI file that stores exactly these numbers."""
    data = numbers() if data is None else data
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(data.dtype)
    image = kind(data, AFFINE, header)
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    image.to_filename(path)
    return path


def edit(path, offset, layout, *values):
    """The same file with some bytes of its header replaced."""
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, offset, *values)
    path.write_bytes(content)
    return path


DIM, DATATYPE, PIXDIM, VOX_OFFSET, SLOPE, SROW_X = 40, 70, 76, 108, 112, 280


def refusal(source):
    """The line that says why a source is refused, having seen that it names source and remedy."""
    with pytest.raises(InputError) as error:
        read(source)
    line = str(error.value)
    assert line.startswith(f"{source}: ")
    assert len(line.splitlines()) == 1
    assert ";" in line, "no remedy"
    return line


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "ünï cödé scan.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti(tmp_path, name, kind):
    scan = read(save(tmp_path / name, kind=kind))
    np.testing.assert_array_equal(scan.array, numbers())
    assert scan.array.dtype == np.float32
    assert (scan.dtype, scan.slope, scan.inter) == (np.int16, 1, 0)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(scan.spacing, (2, np.hypot(1.5, 0.2), np.hypot(3, 0.2)), atol=1e-6)
    assert scan.path == tmp_path / name
    assert isinstance(scan.header, kind.header_class)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 4, 3), (6, 5, 4, 1)])
def test_two_to_four_axes_keep_their_order(tmp_path, shape):
    for suffix in ("nii", "nii.gz", "npy"):
        path = tmp_path / f"a.{suffix}"
        np.save(path, numbers(shape)) if suffix == "npy" else save(path, numbers(shape))
        np.testing.assert_array_equal(read(path).array, numbers(shape))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_every_number_type_in_both_byte_orders(tmp_path, dtype, endian):
    data = numbers(dtype=dtype) % 100
    scan = read(save(tmp_path / "a.nii", data, endian=endian))
    np.testing.assert_array_equal(scan.array, data.astype(np.float32))
    assert scan.dtype == np.dtype(dtype).newbyteorder(endian)


def test_slope_and_intercept_are_applied_in_double_precision(tmp_path):
    data = np.array([[[-32768, -1, 0, 1, 12345, 32767]]], dtype=np.int16)
    scan = read(save(tmp_path / "a.nii", data, slope=0.1, inter=-1024.0))
    slope = float(np.float32(0.1))
    assert (scan.slope, scan.inter) == (slope, -1024)
    np.testing.assert_array_equal(scan.array, (data * slope - 1024).astype(np.float32))


@pytest.mark.parametrize("unset", [0.0, np.nan, np.inf])
def test_a_slope_that_is_not_set_scales_nothing(tmp_path, unset):
    path = edit(save(tmp_path / "a.nii"), SLOPE, "<ff", unset, 7.0)
    np.testing.assert_array_equal(read(path).array, numbers())


def test_volumes_larger_than_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr("iconet.images.reading.CHUNK", 13)
    for name in ("a.nii", "a.nii.gz"):
        np.testing.assert_array_equal(read(save(tmp_path / name)).array, numbers())


def test_extensions_are_read(tmp_path):
    image = nibabel.Nifti1Image(numbers(), AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 1000))
    image.to_filename(tmp_path / "a.nii.gz")
    scan = read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(scan.array, numbers())
    assert scan.header.extensions[0].get_content().startswith(b"xxx")


def test_a_little_padding_behind_the_voxels_is_no_error(tmp_path):
    path = save(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes() + bytes(512))
    np.testing.assert_array_equal(read(path).array, numbers())


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, order):
    np.save(tmp_path / "a.npy", np.asarray(numbers(), order=order))
    scan = read(tmp_path / "a.npy")
    np.testing.assert_array_equal(scan.array, numbers())
    assert (scan.affine, scan.header, scan.dtype, scan.spacing) == (None, None, np.int16, (1, 1, 1))
    # In memory, not mapped: the file may go.
    (tmp_path / "a.npy").unlink()
    np.testing.assert_array_equal(scan.array, numbers())


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
def test_pictures(tmp_path, dtype, suffix):
    data = (numbers((6, 9), np.int32) * 1201).astype(dtype)
    Image.fromarray(data).save(tmp_path / f"a.{suffix}")
    scan = read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(scan.array, data)
    assert (scan.dtype, scan.affine, scan.spacing) == (np.dtype(dtype), None, (1, 1))


def test_an_image_of_nibabel_is_read_as_its_file_is(tmp_path):
    path = save(tmp_path / "a.nii.gz", slope=0.1, inter=-3.0)
    on_disk, loaded = read(path), from_nibabel(nibabel.load(path))
    np.testing.assert_array_equal(loaded.array, on_disk.array)
    np.testing.assert_array_equal(loaded.affine, on_disk.affine)
    for key in ("path", "dtype", "slope", "inter"):
        assert getattr(loaded, key) == getattr(on_disk, key)


def test_an_image_in_memory_and_an_affine_set_by_hand():
    image = nibabel.Nifti1Image(numbers(dtype=np.float64), AFFINE)
    moved = nibabel.Nifti1Image(image.dataobj, np.diag([1, 2, 3, 1.0]), image.header)
    scan = from_nibabel(moved)
    np.testing.assert_array_equal(scan.array, numbers())
    np.testing.assert_allclose(scan.affine, np.diag([1, 2, 3, 1.0]))
    assert scan.path is None


def test_other_formats_of_nibabel():
    scan = from_nibabel(nibabel.MGHImage(numbers(dtype=np.int32), AFFINE))
    np.testing.assert_array_equal(scan.array, numbers())
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)
    assert isinstance(scan.header, nibabel.Nifti1Header)


@pytest.mark.parametrize(
    ("shape", "read_as"),
    [
        ((5, 4, 3, 1, 1), (5, 4, 3)),
        ((5, 4, 3, 2, 1), (5, 4, 3, 2)),
        ((5, 4, 3, 1, 1, 1), (5, 4, 3)),
        ((5, 4, 3, 1), (5, 4, 3, 1)),
        ((5, 4, 1, 1, 1), (5, 4, 1)),
    ],
)
def test_axes_of_one_element_behind_the_others_change_nothing(tmp_path, shape, read_as):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape, order="F")
    image = nibabel.Nifti1Image(values, AFFINE)
    image.header.set_zooms([*image.header.get_zooms()[:3], *[2.5] * (len(shape) - 3)])
    image.to_filename(tmp_path / "a.nii.gz")
    np.save(tmp_path / "a.npy", values)
    expected = values.reshape(read_as, order="F")
    loaded = nibabel.load(tmp_path / "a.nii.gz")
    for scan in (read(tmp_path / "a.nii.gz"), read(tmp_path / "a.npy"), from_nibabel(loaded)):
        np.testing.assert_array_equal(scan.array, expected)
    scan = read(tmp_path / "a.nii.gz")
    write(scan, tmp_path / "b.nii", like=scan)
    again = nibabel.load(tmp_path / "b.nii")
    np.testing.assert_array_equal(again.get_fdata(), expected)
    assert again.header.get_zooms()[3:] == (2.5,) * (len(read_as) - 3)
    np.testing.assert_allclose(again.affine, AFFINE, atol=1e-6)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_nifti_in_two_files_is_read_by_either_name(tmp_path, kind, endian):
    save(tmp_path / "a.img", kind=kind, slope=0.5, inter=3.0, endian=endian)
    for name, other in (("a.img", "a.hdr"), ("a.hdr", "a.img")):
        scan = read(tmp_path / name)
        np.testing.assert_array_equal(scan.array, numbers() * 0.5 + 3)
        np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-6)
        assert (scan.path, scan.data_path) == (tmp_path / name, tmp_path / other)
        assert scan.remarks[0].startswith(f"{tmp_path / name}: header and voxels in two files")
        write(scan, tmp_path / "b.nii", like=scan)
        again = nibabel.load(tmp_path / "b.nii")
        assert type(again).__name__ == kind.__name__.replace("Pair", "Image")
        np.testing.assert_allclose(again.get_fdata(), numbers() * 0.5 + 3)
        np.testing.assert_allclose(again.affine, AFFINE, atol=1e-6)
    with pytest.raises(InputError, match=r"would be two files; write .nii"):
        write(scan, tmp_path / "c.img", like=scan)
    content = (tmp_path / "a.img").read_bytes()
    (tmp_path / "a.img").write_bytes(content[:-1])
    assert "truncated" in refusal(tmp_path / "a.img")
    (tmp_path / "a.img").write_bytes(b"/annex/objects/x")
    assert "a.img, which belongs to it, is a git-annex pointer" in refusal(tmp_path / "a.hdr")
    (tmp_path / "a.img").unlink()
    assert "a.img, which belongs to it, is missing; put it beside" in refusal(tmp_path / "a.hdr")


def test_analyze_is_placed_as_nibabel_does_and_said_to_lack_left_and_right(tmp_path):
    nibabel.AnalyzeImage(numbers(), np.diag([-2, 3, 4, 1.0])).to_filename(tmp_path / "a.img")
    scan = read(tmp_path / "a.img")
    np.testing.assert_array_equal(scan.array, numbers())
    np.testing.assert_allclose(scan.affine, nibabel.load(tmp_path / "a.img").affine)
    assert any("says nothing of left and right" in line for line in scan.remarks)
    nibabel.Spm2AnalyzeImage(numbers(), AFFINE).to_filename(tmp_path / "b.img")  # with a matrix
    scan = read(tmp_path / "b.hdr")
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-6)
    assert len(scan.remarks) == 1
    content = (tmp_path / "a.img").read_bytes()
    (tmp_path / "a.img").write_bytes(content[:-1])
    assert "truncated" in refusal(tmp_path / "a.img")
    (tmp_path / "a.hdr").write_bytes(b"ENVI\nsamples = 3\n" * 30)
    assert "neither NIfTI nor Analyze" in refusal(tmp_path / "a.hdr")


def test_one_volume_of_a_series(tmp_path):
    series = numbers((5, 7, 4, 3))
    nibabel.Nifti1Image(series, AFFINE).to_filename(tmp_path / "a.nii.gz")
    np.save(tmp_path / "a.npy", series)
    for name in ("a.nii.gz", "a.npy"):
        for volume in (1, 3):
            scan = read(tmp_path / name, volume=volume)
            np.testing.assert_array_equal(scan.array, series[..., volume - 1])
            write(scan, tmp_path / f"b-{name}", like=scan)
            np.testing.assert_array_equal(read(tmp_path / f"b-{name}").array, scan.array)
        for volume in (0, 4):
            with pytest.raises(
                InputError, match=rf"has no volume {volume}; choose --volume 1 to 3"
            ):
                read(tmp_path / name, volume=volume)
    assert nibabel.load(tmp_path / "b-a.nii.gz").shape == (5, 7, 4)
    save(tmp_path / "one.nii")
    assert read(tmp_path / "one.nii", volume=1).array.shape == (5, 7, 4)
    with pytest.raises(InputError, match=r"has no volume 2; choose --volume 1$"):
        read(tmp_path / "one.nii", volume=2)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.uint16])
def test_signed_pictures_are_read_as_simpleitk_reads_and_writes_them(tmp_path, dtype):
    values = (np.arange(54).reshape(6, 9) * 5 - 100).astype(dtype)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "a.tif"))
    scan = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(scan.array, values)
    assert scan.dtype == dtype
    write(scan, tmp_path / "b.tif", like=scan)
    again = SimpleITK.ReadImage(str(tmp_path / "b.tif"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(again), values)
    assert read(tmp_path / "b.tif").dtype == dtype
    if dtype in (np.int8, np.int16):
        with pytest.raises(InputError, match=r"8 or 16-bit unsigned integers and .*; write .npy"):
            write(scan, tmp_path / "b.png", like=scan)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_picture_with_smaller_pixels_has_more_of_them_an_inch(tmp_path, suffix):
    picture = Image.fromarray(numbers((6, 9), np.uint8))
    picture.save(tmp_path / f"a.{suffix}", dpi=(300, 150))
    scan = read(tmp_path / f"a.{suffix}")
    bigger = resize_in_plane(scan, 2, (2, 1), lambda low, high: high.fill(7))
    write(bigger, tmp_path / f"b.{suffix}", like=scan)
    with Image.open(tmp_path / f"b.{suffix}") as made:
        assert tuple(map(float, made.info["dpi"])) == pytest.approx((600, 300), rel=1e-4)
    wider = regrid(scan, (6, 18), (1, 0.5), lambda low, high: high.fill(7))
    write(wider, tmp_path / f"c.{suffix}", like=scan)
    with Image.open(tmp_path / f"c.{suffix}") as made:
        assert tuple(map(float, made.info["dpi"])) == pytest.approx((600, 150), rel=1e-4)
    picture.save(tmp_path / f"d.{suffix}")
    plain = read(tmp_path / f"d.{suffix}")
    write(plain, tmp_path / f"e.{suffix}", like=plain)
    assert plain.density is None and read(tmp_path / f"e.{suffix}").density is None


def test_centimetres_and_no_unit_of_a_picture(tmp_path):
    picture = Image.fromarray(numbers((6, 9), np.uint8))
    for unit, expected in ((3, (254, 508, "inch")), (1, (100, 200, ""))):
        picture.save(tmp_path / "a.tif", tiffinfo={282: 100.0, 283: 200.0, 296: unit})
        scan = read(tmp_path / "a.tif")
        assert scan.density == pytest.approx(expected)
        write(scan, tmp_path / "b.tif", like=scan)
        assert read(tmp_path / "b.tif").density == pytest.approx(expected)


def test_several_numbers_a_voxel_are_refused(tmp_path):
    vectors = nibabel.Nifti1Image(np.zeros((5, 4, 3, 1, 3), np.float32), AFFINE)
    vectors.to_filename(tmp_path / "a.nii")
    assert "5-D; it holds several numbers in each voxel" in refusal(tmp_path / "a.nii")


def test_an_image_of_nibabel_whose_file_is_damaged(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).random((20, 20, 20)))
    image = nibabel.load(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="cannot be read"):
        from_nibabel(image)


def test_an_image_of_nibabel_without_an_affine():
    with pytest.raises(InputError, match="no affine"):
        from_nibabel(nibabel.Nifti1Pair(numbers(), None))


def test_missing_empty_and_folders(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.nii.gz")
    (tmp_path / "folder.nii").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.nii")
    assert "is a folder" in refusal(tmp_path)
    for suffix in ("nii", "nii.gz", "npy", "png", "tif"):
        (tmp_path / f"empty.{suffix}").touch()
        assert "empty" in refusal(tmp_path / f"empty.{suffix}")
    if hasattr(os, "mkfifo"):  # POSIX
        os.mkfifo(tmp_path / "pipe.nii")
        assert "not a regular file" in refusal(tmp_path / "pipe.nii")
    assert "name" in refusal(tmp_path / f"{'a' * 300}.nii")


def test_unknown_suffixes_list_the_known_ones(tmp_path):
    (tmp_path / "a.mnc").write_bytes(b"x")
    assert ".nii.gz" in refusal(tmp_path / "a.mnc")


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy", "png", "tif"])
@pytest.mark.parametrize("content", [b"x", b"hello world\n" * 100, bytes(5000)])
def test_files_that_are_no_images(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    refusal(path)
    if suffix == "nii.gz":
        path.write_bytes(gzip.compress(content))
        assert "not a NIfTI" in refusal(path)


def test_a_wrong_suffix_is_explained(tmp_path):
    save(tmp_path / "a.nii").rename(tmp_path / "b.nii.gz")
    assert "rename it to .nii" in refusal(tmp_path / "b.nii.gz")
    save(tmp_path / "a.nii.gz").rename(tmp_path / "b.nii")
    assert "rename it to .nii.gz" in refusal(tmp_path / "b.nii")


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy", "png", "tif"])
def test_every_truncation_is_noticed(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (40, 30), dtype=np.uint8)
    if suffix == "npy":
        np.save(path, noise)
    elif suffix.startswith("nii"):
        save(path, noise)
    else:
        Image.fromarray(noise).save(path)
    content = path.read_bytes()
    # The last 20 bytes of a PNG are checksums and its end mark, of which Pillow does not insist.
    for length in (1, 3, 40, 200, 351, 352, 360, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:length])
        refusal(path)


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_a_gzip_without_its_checksum_is_truncated(tmp_path, missing):
    path = save(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:-missing])
    assert "cannot be read" in refusal(path)


def test_a_flipped_bit_fails_the_checksum(tmp_path):
    content = gzip.decompress(save(tmp_path / "a.nii.gz").read_bytes())
    stored = bytearray(gzip.compress(content, 0))  # level 0: the bytes themselves
    stored[-20] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(stored)
    assert "BadGzipFile" in refusal(tmp_path / "a.nii.gz")


def test_decompression_stops_where_the_header_ends_the_voxels(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.nii.gz")
    stream = zlib.compressobj(9, wbits=31)
    with path.open("rb") as file:
        start = gzip.decompress(file.read())
    bomb = [stream.compress(start)] + [stream.compress(bytes(1 << 20)) for _ in range(200)]
    path.write_bytes(b"".join(bomb) + stream.flush())

    produced = 0
    original = gzip.GzipFile.read

    def counting(self, size=-1):
        nonlocal produced
        assert size >= 0
        block = original(self, size)
        produced += len(block)
        return block

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    assert "more data than its header promises" in refusal(path)
    assert produced < len(start) + 10_000


def test_a_bomb_in_the_extensions(tmp_path):
    header = bytearray(gzip.decompress(save(tmp_path / "a.nii.gz").read_bytes())[:352])
    struct.pack_into("<f", header, VOX_OFFSET, 2e9)
    header[348:] = b"\x01\0\0\0"
    extension = struct.pack("<ii", 2_000_000_000 - 352, 6)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(header) + extension + bytes(1 << 20)))
    assert "voxels at byte 2e+09" in refusal(path)


def test_a_file_that_ends_inside_its_extensions(tmp_path):
    path = edit(save(tmp_path / "a.nii"), VOX_OFFSET, "<f", 4000)
    assert "ends inside its header" in refusal(path)


def huge_header(path):
    """A header of 352 bytes for 18 GB of int16."""
    save(path, np.zeros((2, 2, 2), np.int16))
    return edit(path, DIM, "<4h", 3, 3000, 3000, 1000)


def test_a_tiny_file_that_claims_18_gb(tmp_path):
    path = huge_header(tmp_path / "a.nii")
    assert "18.0 GB" in refusal(path)
    content = path.read_bytes()
    packed = tmp_path / "a.nii.gz"
    packed.write_bytes(gzip.compress(content))
    assert "18.0 GB" in refusal(packed)


def a_machine_with(monkeypatch, gigabytes):
    class Memory:
        available = int(gigabytes * 1e9)

    monkeypatch.setattr("psutil.virtual_memory", Memory)
    # Whoever allocates more than that has not asked before.
    empty = np.empty

    def guarded(shape, *args, **kwargs):
        assert np.prod(shape, dtype=float) < gigabytes * 1e9
        return empty(shape, *args, **kwargs)

    monkeypatch.setattr("numpy.empty", guarded)


def test_more_memory_than_there_is_is_refused_before_allocating(tmp_path, monkeypatch):
    a_machine_with(monkeypatch, 8)
    path = huge_header(tmp_path / "a.nii")
    os.truncate(path, 352 + 2 * 3000 * 3000 * 1000)  # sparse: takes no room on the disk
    assert "need 36.0 GB of memory and 8.0 GB are available" in refusal(path)

    path = tmp_path / "a.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (3000, 3000, 1000))
    assert "need 36.0 GB of memory and 8.0 GB are available" in refusal(path)


def test_memory_that_the_system_refuses(tmp_path, monkeypatch):
    # A limit on the process (ulimit -v, a batch system) is not what the machine has available.
    def refused(*_, **__):
        raise MemoryError

    path = save(tmp_path / "a.nii")
    monkeypatch.setattr("numpy.empty", refused)
    assert "does not fit into memory" in refusal(path)


def test_memory_for_the_enlarged_image_is_demanded_too(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (1000, 1000, 10))
    a_machine_with(monkeypatch, 0.1)
    assert read(path).array.size == 10**7
    with pytest.raises(InputError, match=r"need 0\.2 GB"):
        read(path, scale=2)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_impossible_spacings(tmp_path, axis, value):
    path = edit(save(tmp_path / "a.nii"), PIXDIM + 4 * axis, "<f", value)
    assert "spacing" in refusal(path)


def test_the_spacing_along_axes_that_are_not_there_does_not_matter(tmp_path):
    path = edit(save(tmp_path / "a.nii", numbers((6, 5))), PIXDIM + 12, "<f", 0.0)
    np.testing.assert_array_equal(read(path).array, numbers((6, 5)))


def test_singular_affines(tmp_path):
    path = edit(save(tmp_path / "a.nii"), SROW_X, "<12f", *[1, 1, 0, 5], *[1, 1, 0, 5], 0, 0, 1, 5)
    assert "singular" in refusal(path)
    edit(path, SROW_X, "<f", np.nan)
    assert "NaN" in refusal(path)
    edit(path, SROW_X, "<I", 0x7FA00000)  # a signalling NaN, at which numpy warns
    assert "affine" in refusal(path)


def test_sheared_affines_are_legitimate(tmp_path):
    path = edit(save(tmp_path / "a.nii"), SROW_X, "<12f", *[1, 0.4, 0, 5], 0, 1, 0, 5, 0, 0, 1, 5)
    assert read(path).affine[0, 1] == np.float32(0.4)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e39])
def test_values_beyond_float32_are_counted(tmp_path, suffix, bad):
    data = numbers(dtype=np.float64)
    data[1, 2, 3] = data[0, 0, 0] = bad
    path = tmp_path / f"a.{suffix}"
    np.save(path, data) if suffix == "npy" else save(path, data)
    assert "2 voxels are Inf" in refusal(path)
    data[2, 2, 2] = np.nan
    np.save(path, data) if suffix == "npy" else save(path, data)
    assert "2 voxels are Inf" in refusal(path)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_kept_unless_it_is_all(tmp_path, suffix, dtype):
    data = numbers(dtype=dtype)
    data[1, 2, 3] = data[0, 0, 0] = np.nan
    like = read(save(tmp_path / "like.nii", data))
    path = tmp_path / f"a.{suffix}"
    write(like, path, like=like)
    np.testing.assert_array_equal(read(path).array, data.astype(np.float32))
    write(replace(like, array=np.full_like(like.array, np.nan)), path, like=like)
    assert "every voxel is NaN" in refusal(path)


def test_an_intercept_that_is_not_finite(tmp_path):
    refusal(edit(save(tmp_path / "a.nii"), SLOPE, "<ff", 1, np.inf))


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "npy"])
def test_complex_and_colour(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    rgb = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for data, said in ((numbers(dtype=np.complex64), "complex"), (rgb, "RGB")):
        np.save(path, data) if suffix == "npy" else save(path, data)
        assert said in refusal(path)


@pytest.mark.parametrize("array", [
    np.array([None, 1]), np.array(["a", "b"]), np.zeros((3, 3), bool), np.zeros(5),
    np.zeros((2,) * 5), np.zeros((0, 4)),
])  # fmt: skip
def test_arrays_that_are_no_images(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    refusal(tmp_path / "a.npy")


def test_five_dimensions_and_impossible_sizes(tmp_path):
    assert "5-D" in refusal(save(tmp_path / "a.nii", numbers((2, 2, 2, 1, 3))))
    for size in (0, -4):
        refusal(edit(save(tmp_path / "a.nii"), DIM + 2, "<h", size))
    for count in (0, 1, 9, -1):
        refusal(edit(save(tmp_path / "a.nii"), DIM, "<h", count))


def test_unknown_data_types(tmp_path):
    for code in (0, 1, 255, 9999):
        refusal(edit(save(tmp_path / "a.nii"), DATATYPE, "<h", code))


@pytest.mark.parametrize(
    ("suffix", "modes"),
    [("png", "RGB RGBA LA P 1"), ("tif", "RGB RGBA LA P 1 CMYK F I")],
)
def test_pictures_that_are_not_greyscale(tmp_path, suffix, modes):
    for mode in modes.split():
        Image.new(mode, (8, 8)).save(tmp_path / f"a.{suffix}")
        assert f"its mode is {mode}" in refusal(tmp_path / f"a.{suffix}")


def test_pictures_of_several_pages(tmp_path):
    pages = [Image.new("L", (8, 8), value) for value in (1, 2, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert "3 pages" in refusal(tmp_path / "a.tif")


def test_white_as_zero(tmp_path):
    Image.fromarray(numbers((6, 5), np.uint16)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert "white" in refusal(tmp_path / "a.tif")


def test_a_picture_bomb(tmp_path, monkeypatch):
    Image.new("L", (200, 200)).save(tmp_path / "a.png")
    for limit in (30_000, 10_000):  # above once a warning, above twice an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert "too many pixels" in refusal(tmp_path / "a.png")


def test_a_file_without_permission(tmp_path, monkeypatch):
    path = save(tmp_path / "a.nii")

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", denied)  # root, who runs tests in containers, may
    assert "no permission" in refusal(path)


def test_arrays_given_in_python_are_checked_like_files():
    with pytest.raises(InputError, match="1 voxels are Inf"):
        from_array(np.array([[1.0, np.inf], [np.nan, 3]]))
    with pytest.raises(InputError, match="complex"):
        from_array(np.zeros((4, 4), complex))
    scan = from_array(numbers((3, 4), np.uint8))
    assert isinstance(scan, Scan)
    assert (scan.dtype, scan.array.dtype) == (np.uint8, np.float32)


@settings(max_examples=200)  # each takes a millisecond, and most change nothing
@given(data=st.data())
def test_damaged_bytes_end_in_a_scan_or_in_one_line(tmp_path, data):
    # Whatever happens to a header, nothing but InputError comes out.
    path = tmp_path / "a.nii"
    save(path, np.zeros((3, 4, 5), np.float32))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 351))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        scan = read(path)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert np.isfinite(scan.array).all()
        assert np.isfinite(scan.affine).all()
