"""Members of a series that are there and cannot be read: named, and left out only if allowed."""

import shutil
import zipfile

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from iconet.errors import InputError
from iconet.images import read
from iconet.images.dicom.series import read_series

from ...images.slices import AFFINE, every, numbers, refusal, save, save_all, slices_of

SHAPE = (5, 7, 8)


def named(folder, suffix=".dcm", shape=SHAPE, **elements):
    """A series whose files are named and numbered in the order of its slices."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = slices_of(numbers(shape), AFFINE)
    every(slices, SliceThickness="3", **elements)
    for k, made in enumerate(slices):
        made.InstanceNumber = k + 1
        save(made, folder / f"{k + 1:03d}{suffix}")
    return folder


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def rewritten(content):
    return lambda path: path.write_bytes(content)


def unlinked(path):
    path.unlink()
    path.symlink_to("../.git/annex/objects/x.dcm")


SPOILT = {
    "empty (0 bytes)": rewritten(b""),
    "a git-annex pointer": rewritten(b"/annex/objects/MD5E-s1--c8.dcm\n"),
    "a Git LFS pointer": rewritten(b"version https://git-lfs.github.com/spec/v1\noid sha256:4\n"),
    "a web page": rewritten(b"<!DOCTYPE html><html>Please log in</html>"),
    "a link to a file that is not there": unlinked,
    "does not begin as DICOM does": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "cut off in its header": cut(0.5),
    "truncated pixel data": lambda path: path.write_bytes(path.read_bytes()[:-9]),
}


@pytest.mark.parametrize("why", SPOILT)
def test_they_are_named_and_left_out_only_if_allowed(tmp_path, why):
    folder = named(tmp_path / "in")
    for name in ("001.dcm", "008.dcm"):
        SPOILT[why](folder / name)
    line = refusal(folder)
    assert line.startswith(f"{folder}: 2 of its 8 files cannot be read: 001.dcm")
    assert "008.dcm" in line and why in line and "--allow-missing" in line
    scan = read_series(folder, allow_missing=True)
    np.testing.assert_array_equal(scan.array, numbers(SHAPE)[:, :, 1:7] - np.float32(100))
    np.testing.assert_allclose(scan.affine[:3, 3], (AFFINE @ [0, 0, 1, 1])[:3])
    (said,) = scan.remarks
    assert said.startswith(f"{folder}: 2 files left out: 001.dcm") and "008.dcm" in said
    SPOILT[why](folder / "004.dcm")  # a gap between the others
    assert "missing slices" in refusal(folder, allow_missing=True)


@pytest.mark.parametrize("share", np.linspace(0.02, 0.99, 30))
def test_a_slice_that_is_cut_off_anywhere_is_missed(tmp_path, share):
    folder = named(tmp_path / "in")
    cut(share)(folder / "008.dcm")
    assert "1 of its 8 files cannot be read: 008.dcm" in refusal(folder)
    assert read_series(folder, allow_missing=True).array.shape == (5, 7, 7)


@pytest.mark.parametrize("elements", [{}, {"SpacingBetweenSlices": "3"}])
def test_slices_never_become_twice_as_thick_in_silence(tmp_path, elements):
    folder = named(tmp_path / "in", **elements)
    for k in range(2, 9, 2):
        (folder / f"{k:03d}.dcm").write_bytes(b"")
    assert "4 of its 8 files cannot be read" in refusal(folder)
    line = refusal(folder, allow_missing=True)
    assert "its slices are 6 mm apart and 3 mm by the header; get these files again: 002" in line
    for k in range(2, 9, 2):
        (folder / f"{k:03d}.dcm").unlink()
    (said,) = read_series(folder).remarks
    assert "6 mm apart and 3 mm by the header: some may be missing" in said


def test_gaps_between_slices_are_no_missing_ones(tmp_path):
    folder = named(tmp_path / "in", SpacingBetweenSlices="1")  # the gap, as some headers have it
    assert read_series(folder).remarks == ()
    (folder / "008.dcm").write_bytes(b"")
    assert len(read_series(folder, allow_missing=True).remarks) == 1


def test_all_of_them_are_refused_for_what_they_are(tmp_path):
    folder = named(tmp_path / "in")
    for path in folder.iterdir():
        path.write_bytes(b"")
    for allowed in (False, True):
        assert "8 of its 8 files cannot be read" in refusal(folder, allow_missing=allowed)
    assert read_series(named(tmp_path / "b"), allow_missing=True).remarks == ()
    path = tmp_path / "b" / "001.dcm"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"001.dcm: empty \(0 bytes\); copy"):
        read(path)


def test_notes_previews_and_hidden_files_are_no_slices(tmp_path):
    folder = named(tmp_path / "in", suffix="")
    (folder / "README").write_text("how it was scanned\n\tby whom")
    (folder / "preview.png").write_bytes(b"\x89PNG")
    (folder / "empty.txt").touch()
    (folder / ".hidden").touch()
    (folder / "._001").write_bytes(bytes(40))
    (folder / ".git").mkdir()
    shutil.copy(folder / "001", folder / ".git" / "object")
    assert read_series(folder).array.shape == SHAPE
    (folder / "009").touch()  # named as slices are
    assert "1 of its 9 files cannot be read: 009 (empty" in refusal(folder)


def test_another_series_beside_it_may_be_damaged(tmp_path):
    named(tmp_path / "in/a")
    other = named(tmp_path / "in/b", SeriesInstanceUID="1.2.7", SeriesNumber=7)
    (other / "008.dcm").write_bytes(b"")
    assert read_series(tmp_path / "in", series=4).array.shape == SHAPE
    assert "1 of its 8 files cannot be read: b/008.dcm" in refusal(tmp_path / "in", series=7)


def test_in_a_zip(tmp_path):
    folder = named(tmp_path / "in")
    (folder / "001.dcm").write_bytes(b"")
    (folder / "notes.txt").write_text("notes")
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"a/{path.name}")
        link = zipfile.ZipInfo("a/009.dcm")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "elsewhere")
    line = refusal(tmp_path / "s.zip")
    assert "2 of its 9 files cannot be read: a/001.dcm (empty (0 bytes)), a/009.dcm (a link" in line
    assert read_series(tmp_path / "s.zip", allow_missing=True).array.shape == (5, 7, 7)


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_files_without_a_preamble_are_read(tmp_path, meta, syntax):
    folder = tmp_path / "in"
    slices = slices_of(numbers(), AFFINE)
    if syntax is not None:
        for made in slices:
            made.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian:
                made.PixelData = np.frombuffer(made.PixelData, "<i2").astype(">i2").tobytes()
    save_all(slices, folder)
    for path in folder.iterdir():
        content = path.read_bytes()[132:]
        if not meta:  # behind the group of the meta information, whose length comes first
            content = content[12 + int.from_bytes(content[8:12], "little") :]
        path.write_bytes(content)
    if syntax == ExplicitVRBigEndian and not meta:
        assert "cannot be read" in refusal(folder)  # which is retired, and never had no header
        return
    expected = numbers() - np.float32(100)
    np.testing.assert_array_equal(read(folder).array, expected)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    np.testing.assert_array_equal(read(tmp_path / "s.zip").array, expected)
    assert read(folder / "000.dcm").array.shape == (5, 7, 1)


def test_links_to_folders_are_followed_once(tmp_path):
    elsewhere = named(tmp_path / "elsewhere")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/series").symlink_to(elsewhere)
    (tmp_path / "in/again").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(tmp_path / "in")
    assert read_series(tmp_path / "in").array.shape == SHAPE


def test_floating_point_pixels_of_a_parametric_map(tmp_path):
    stored = np.random.default_rng(0).normal(size=(5, 7, 4)).astype(np.float32)
    for keyword, dtype in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):
        slices = slices_of(numbers(), AFFINE, intercept=0)
        for k, made in enumerate(slices):
            for gone in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
                delattr(made, gone)
            made.BitsAllocated = int(dtype[2]) * 8
            setattr(made, keyword, stored[:, :, k].T.astype(dtype).tobytes())
        folder = save_all(slices, tmp_path / keyword)
        scan = read_series(folder)
        np.testing.assert_array_equal(scan.array, stored)
        assert scan.dtype.kind == "f" and scan.padding is None
        setattr(slices[0], keyword, b"\0" * 8)
        assert "truncated pixel data" in refusal(save_all(slices, tmp_path / keyword))
