"""What NRRD and MetaImage share: lines, numbers, the file of voxels, and their place."""

import gzip
import io
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.text_headers.layout import (
    LONGEST_HEADER,
    Inflating,
    Layout,
    affine_of,
    as_nifti1,
    data_file,
    decimal,
    header_lines,
    nifti_header,
    numbers,
    placement,
    raw_name,
    stored_type,
    whole_numbers,
)

OBLIQUE = np.array([[0, 0, -3, -10], [-1.2, 1.2, 0, -20], [1.6, 0.9, 0, 30], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("content", "last", "lines", "rest"),
    [
        (b"A\nb: 1\n\nvoxels", None, ["A", "b: 1"], b"voxels"),
        (b"A\r\nb\r\n\r\nvoxels", None, ["A", "b"], b"voxels"),
        (b"A\nb", None, ["A", "b"], b""),
        (b"A = 1\n\nEnd = x\nvoxels", "End", ["A = 1", "", "End = x"], b"voxels"),
        (b"J\xfcrgen\n\n", None, ["J\udcfcrgen"], b""),
    ],
)
def test_lines_end_where_the_voxels_begin(content, last, lines, rest):
    file = io.BytesIO(content)
    assert header_lines("a", file, last) == lines
    assert file.read() == rest


@pytest.mark.parametrize("content", [b"x" * (LONGEST_HEADER + 1), b"A\nb\0c\n", b"#\n" * 2**20])
def test_what_is_no_header_is_not_read_to_its_end(content):
    file = io.BytesIO(content)
    with pytest.raises(InputError, match="does not end within 1048576 bytes or is not text"):
        header_lines("a", file)
    assert file.tell() <= LONGEST_HEADER + 1


def test_numbers_are_whole_or_any_and_of_ascii():
    assert whole_numbers("a", "sizes", " 5 -4  03 ") == (5, -4, 3)
    np.testing.assert_array_equal(numbers("a", "origin", "1 -2.5 1e3"), [1, -2.5, 1000])
    assert np.isnan(numbers("a", "spacings", "nan", 1)).all()
    for text in ("", "5.0", "x", "\uff13", "1" * 20, " ".join("1" * 17)):
        with pytest.raises(InputError, match="a: its sizes must be whole numbers; correct"):
            whole_numbers("a", "sizes", text)
    for text in ("x", "\uff13", " ".join("1" * 65)):
        with pytest.raises(InputError, match="a: its origin must be numbers; correct"):
            numbers("a", "origin", text)
    with pytest.raises(InputError, match="its origin must be 3 numbers, not 2; correct"):
        numbers("a", "origin", "1 2", 3)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_a_stream_gives_no_more_than_was_asked_for(pack):
    content = np.random.default_rng(0).bytes(300_000)
    stream = Inflating(io.BytesIO(pack(content)))
    assert stream.read(10) == content[:10]
    assert stream.read(200_000) == content[10:200_010]
    assert stream.read(10**9) == content[200_010:]
    assert stream.read(1) == b""


def test_gzip_members_follow_one_another_and_what_is_behind_the_last_is_nothing():
    content = np.random.default_rng(0).bytes(100_000)
    parts = [content[:1], b"", content[1:70_000], content[70_000:]]
    for behind in (b"", bytes(30), b"\x1f"):
        packed = b"".join(map(gzip.compress, parts)) + behind
        stream = Inflating(io.BytesIO(packed))
        assert stream.read(80_000) + stream.read(10**9) == content
        assert stream.read(1) == b""
    for end in (len(gzip.compress(parts[0])) + 12, len(packed) - 9):
        with pytest.raises(EOFError):
            Inflating(io.BytesIO(packed[:end])).read(10**9)
    two = zlib.compress(content) + gzip.compress(content)
    assert Inflating(io.BytesIO(two[: len(zlib.compress(content))])).read(10**9) == content


def test_many_tiny_members_take_no_quadratic_time():
    packed = gzip.compress(b"") * 50_000 + gzip.compress(b"end")
    assert Inflating(io.BytesIO(packed)).read(10) == b"end"


def test_a_stream_that_ends_too_early_or_is_damaged_is_noticed():
    packed = zlib.compress(np.random.default_rng(0).bytes(1000))
    with pytest.raises(EOFError):
        Inflating(io.BytesIO(packed[:-1])).read(1001)
    with pytest.raises(zlib.error):
        Inflating(io.BytesIO(packed[:-1] + b"?")).read(1001)


def test_voxels_are_beside_the_header_or_below(tmp_path):
    header = tmp_path / "a.nhdr"
    header.touch()
    (tmp_path / "below").mkdir()
    for named in ("a.raw", "below/b.raw", " a.raw "):
        (tmp_path / named.strip()).touch()
        assert data_file(header, named) == tmp_path / named.strip()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("LIST", "several files; save it as one .nrrd file"),
        ("LIST 2", "several files"),
        ("a%03d.raw", "several files"),
        ("../a.raw", "outside its folder"),
        ("/a.raw", "outside its folder"),
        ("C:a.raw", "outside its folder"),
        ("..\\a.raw", "outside its folder"),
        ("b.raw", "are missing; copy them"),
        ("folder", "not a regular file"),
        ("a.nhdr", "names a header"),
        ("other.mhd", "names a header"),
    ],
)
def test_other_files_are_not_voxels(tmp_path, named, said):
    header = tmp_path / "a.nhdr"
    (tmp_path / "folder").mkdir()
    for name in ("a.nhdr", "other.mhd", "LISTED.raw"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=said) as error:
        data_file(header, named)
    assert str(error.value).startswith(f"{header}: ")
    assert data_file(header, "LISTED.raw").exists()


def test_axes_and_origin_turn_from_lps_to_ras():
    axes = [np.array(axis) for axis in ([2, 0, 0], [0, 1.5, 0], [0, 0, 3])]
    found = affine_of("a", axes, np.array([10, 20, 30]))
    expected = [[-2, 0, 0, -10], [0, -1.5, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]]
    np.testing.assert_array_equal(found, expected)


def test_a_plane_gets_a_third_axis_of_1_mm_across():
    in_space = affine_of("a", [np.array([0, 2, 0]), np.array([0, 0, 3])], np.array([1, 2, 3]))
    np.testing.assert_array_equal(in_space[:3, 2], [-1, 0, 0])
    in_two = affine_of("a", [np.array([2, 0]), np.array([0, 3])], np.array([1, 2]))
    expected = [[-2, 0, 0, -1], [0, -3, 0, -2], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(in_two, expected)


@pytest.mark.parametrize(
    ("axes", "origin", "said"),
    [
        ([[1, 0, 0]], [0, 0, 0], "1 axes in space"),
        ([[1, 0, 0], [0, 1]], [0, 0, 0], "2 axes in space"),
        ([[1, 0, 0], [0, 1, 0]], [0, 0], "2 axes in space"),
        ([[1, 0], [0, 1], [1, 1]], [0, 0], "a space of 2 dimensions"),
        ([[1, 0, 0, 0], [0, 1, 0, 0]], [0] * 4, "a space of 4 dimensions"),
        ([[1, 0, 0], [2, 0, 0]], [0, 0, 0], "no place or no volume"),
        ([[1, 0, 0], [0, np.nan, 0], [0, 0, 1]], [0, 0, 0], "no place or no volume"),
    ],
)
def test_what_is_no_place_is_refused(axes, origin, said):
    with pytest.raises(InputError, match=said):
        affine_of("a", [np.array(axis, float) for axis in axes], np.array(origin, float))


def test_the_volumes_of_a_series_come_last():
    layout = Layout((5, 2, 4, 3), np.dtype("<i2"), OBLIQUE, Path("a"), volumes=1, step=1.25)
    assert layout.image_shape == (5, 4, 3, 2)
    header = nifti_header(layout)
    assert header.get_data_shape() == (5, 4, 3, 2)
    assert (header.get_data_dtype(), header["pixdim"][4]) == (np.int16, 1.25)
    np.testing.assert_array_equal(header.get_best_affine(), OBLIQUE)
    assert header.get_xyzt_units() == ("mm", "sec")
    still = Layout((5, 4, 3), np.dtype("<i2"), None, Path("a"))
    assert still.image_shape == (5, 4, 3) and nifti_header(still) is None


def test_a_nifti_1_header_says_the_same_where_it_can():
    header = nifti_header(Layout((5, 4, 3), np.dtype("<f4"), OBLIQUE, Path("a")))
    small = as_nifti1(header)
    assert type(small) is nibabel.Nifti1Header
    np.testing.assert_allclose(small.get_best_affine(), OBLIQUE, atol=1e-5)
    wide = nifti_header(Layout((32768, 4, 3), np.dtype("<f4"), OBLIQUE, Path("a")))
    assert as_nifti1(wide) is wide


def test_a_quaternion_that_would_misplace_voxels_is_left_out():
    sheared = OBLIQUE.copy()
    sheared[0, 0] = 0.5
    for affine, code in ((OBLIQUE, 1), (sheared, 0)):
        header = nifti_header(Layout((5, 4, 3), np.dtype("<f4"), affine, Path("a")))
        assert (header["qform_code"], header["sform_code"]) == (code, 1)


def test_a_scan_is_placed_by_rows_of_lps():
    found = placement(Scan(np.zeros((5, 4, 3)), OBLIQUE))
    assert (found.sizes, found.step) == ((5, 4, 3), 0)
    np.testing.assert_array_equal(found.axes, (np.diag([-1, -1, 1]) @ OBLIQUE[:3, :3]).T)
    np.testing.assert_array_equal(found.origin, [10, 20, 30])
    assert placement(Scan(np.zeros((5, 4)))).axes is None


@pytest.mark.parametrize(("height", "sizes"), [(0, (5, 4)), (7, (5, 4, 1))])
def test_a_picture_stays_one_in_an_axial_plane_at_0(height, sizes):
    affine = np.diag([2.0, 3, 1, 1])
    affine[2, 3] = height
    found = placement(Scan(np.zeros((5, 4)), affine))
    assert found.sizes == sizes and found.axes.shape == (len(sizes), len(sizes))


@pytest.mark.parametrize(
    ("unit", "step", "seconds"),
    [("sec", 2.5, 2.5), ("msec", 2500, 2.5), ("usec", 1e6, 1), ("hz", 3, 0), ("sec", -1, 0)],
)
def test_the_step_of_a_series_is_in_seconds(unit, step, seconds):
    header = nibabel.Nifti1Header()
    header.set_xyzt_units("mm", unit)
    header["pixdim"][4] = step
    found = placement(Scan(np.zeros((5, 4, 3, 2)), np.eye(4), header)).step
    assert found == pytest.approx(seconds)
    assert placement(Scan(np.zeros((5, 4, 3)), np.eye(4), header)).step == 0


def test_the_shortest_text_that_is_the_same_number():
    assert [decimal(value) for value in (-0.0, 1, 0.1, np.float64(1) / 3)] == [
        "0.0",
        "1.0",
        "0.1",
        "0.3333333333333333",
    ]


@pytest.mark.parametrize(
    ("scan", "dtype"),
    [
        ({"dtype": ">i2"}, "<i2"),
        ({"dtype": "u1"}, "u1"),
        ({"dtype": "i2", "slope": 0.5}, "<f4"),
        ({"dtype": "i2", "inter": -1024}, "<f4"),
        ({"dtype": "f8"}, "<f4"),
    ],
)
def test_integers_stay_unless_they_were_scaled(scan, dtype):
    made = Scan(np.zeros((2, 2)), **{**scan, "dtype": np.dtype(scan["dtype"])})
    assert stored_type(made) == np.dtype(dtype)


def test_a_header_must_be_able_to_name_its_voxels():
    assert raw_name(Path("in/ü b.nhdr")) == Path("in/ü b.raw")
    for name in ("a%d.mhd", " a.mhd", "a\nb.mhd", "a\x07.mhd"):
        with pytest.raises(InputError, match="choose a simpler output name"):
            raw_name(Path(name))
