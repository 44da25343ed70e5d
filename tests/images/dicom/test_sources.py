import zipfile

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from iconet.images.dicom import sources as dicom_files
from iconet.images.dicom.series import read_series

from ...attacks.valid import directory
from ...images.slices import AFFINE, image, numbers, refusal, save, save_all, slices_of


def zipped(path, folder, *, rename=str, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.iterdir()):
            # `write` would strip a leading slash.
            member = zipfile.ZipInfo(rename(f"a/{file.name}"))
            archive.writestr(member, file.read_bytes(), compression)
    return path


@pytest.fixture
def folder(tmp_path):
    return save_all(slices_of(numbers(), AFFINE), tmp_path / "in")


def is_the_series(path):
    np.testing.assert_array_equal(read_series(path).array, numbers() - np.float32(100))


def test_a_zip_is_read_like_its_folder(tmp_path, folder):
    (folder / "notes.txt").write_text("not DICOM")
    is_the_series(zipped(tmp_path / "series.zip", folder))


def test_subfolders_and_other_files(tmp_path, folder):
    (folder / "deeper").mkdir()
    (folder / "000.dcm").rename(folder / "deeper" / "x")
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "again").symlink_to(folder)  # a circle
    is_the_series(folder)


def test_a_dicomdir_names_its_files(folder):
    names = sorted(file.name for file in folder.iterdir())
    save(slices_of(numbers(), AFFINE)[0], folder / "not_listed")  # one position twice, if it was
    path = directory(folder / "DICOMDIR", [None, *names], lower={0: 500}, following={1: 600})
    is_the_series(path)


def test_a_dicomdir_in_the_folder_is_no_slice(folder):
    directory(folder / "DICOMDIR", [])
    is_the_series(folder)


@pytest.mark.parametrize("reference", [["..", "x"], "/etc/passwd", ["a", "..", "..", "x"], "C:/x"])
def test_a_dicomdir_does_not_lead_out(folder, reference):
    save(slices_of(numbers(), AFFINE)[0], folder.parent / "x")
    assert "outside of its folder" in refusal(directory(folder / "DICOMDIR", [reference]))


def test_a_dicomdir_does_not_lead_out_through_a_link(folder):
    save(slices_of(numbers(), AFFINE)[0], folder.parent / "x")
    (folder / "link").symlink_to(folder.parent / "x")
    assert "outside of its folder" in refusal(directory(folder / "DICOMDIR", ["link"]))


@pytest.mark.parametrize("links", [{"following": {0: 400}}, {"lower": {0: 500, 1: 500}}])
def test_a_dicomdir_in_a_circle(folder, links):
    assert "circle" in refusal(directory(folder / "DICOMDIR", ["000.dcm", "001.dcm"], **links))


def test_a_dicomdir_without_its_files(folder):
    path = directory(folder / "DICOMDIR", ["000.dcm", "nine.dcm"])
    assert "1 of its 2 files cannot be read" in (line := refusal(path))
    assert "nine.dcm (missing); copy the whole medium" in line
    left = read_series(path, allow_missing=True)
    assert left.array.shape == (5, 7, 1)
    assert any("1 files left out" in line and "nine.dcm" in line for line in left.remarks)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "C:/a", "..\\a"])
def test_a_zip_does_not_lead_out(tmp_path, folder, name):
    path = zipped(tmp_path / "series.zip", folder, rename=lambda _: name + str(_)[-7:])
    assert "leads out" in refusal(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_files, "LARGEST_UNCHECKED", 1 << 20)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(128) + b"DICM" + bytes(2_000_000))
    assert "no scan does" in refusal(path)


def test_a_deflated_bomb_is_not_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_files, "LARGEST_UNCHECKED", 1 << 20)
    made = image(np.zeros((1000, 1000), np.int16), syntax=DeflatedExplicitVRLittleEndian)
    assert "inflates" in refusal(save(made, tmp_path / "bomb.dcm"))


def test_an_encrypted_zip(tmp_path, folder):
    path = zipped(tmp_path / "series.zip", folder)
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1
    path.write_bytes(content)
    assert "encrypted" in refusal(path)


def test_a_damaged_zip(tmp_path, folder):
    path = zipped(tmp_path / "series.zip", folder)
    path.write_bytes(path.read_bytes()[:-30])
    assert "damaged" in refusal(path)


def test_nothing_there(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent")
    assert "without DICOM files" in refusal(tmp_path)
    (tmp_path / "text").write_text("PATIENT")
    assert "neither DICOM nor a zip" in refusal(tmp_path / "text")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_file_cut_off_anywhere(folder, share):
    """Each is refused: in its header for want of elements, later for want of pixels."""
    path = folder / "000.dcm"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refusal(path)


def test_no_header_value_reaches_an_error_line(folder):
    path = folder / "000.dcm"
    content = path.read_bytes()
    rows = content.index(b"\x28\x00\x30\x00DS")  # PixelSpacing holds a name instead
    length = content[rows + 6]
    path.write_bytes(
        content[: rows + 8] + b"Secret^Name     "[:length] + content[rows + 8 + length :]
    )
    assert "damaged" in refusal(folder)
