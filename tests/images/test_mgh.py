"""FreeSurfer's volumes, with nibabel as the independent reader and writer."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
from hypothesis import given

from iconet.images import Scan, read, scaled_affine, write
from iconet.images.mgh import repetition_time

from .grids import affines
from .text_headed import refusal, refused_wherever_cut

AFFINE = np.array([[-2, 0.3, 0, 90], [0.2, 0, 3, -70], [0, -1.5, 0.2, -40], [0, 0, 0, 1.0]])


def numbers(shape=(5, 7, 4), dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(path, data=None, affine=AFFINE, tr=0.0):
    image = nibabel.MGHImage(numbers() if data is None else data, affine)
    image.header["tr"] = tr
    image.to_filename(path)
    return path


def loaded(path):
    """By nibabel, which would leave an uncompressed file open."""
    content = path.read_bytes()
    return nibabel.MGHImage.from_bytes(
        gzip.decompress(content) if path.suffix == ".mgz" else content
    )


@pytest.mark.parametrize("name", ["a.mgz", "a.mgh"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_values_and_places_come_and_go(tmp_path, name, dtype):
    path = save(tmp_path / name, numbers(dtype=dtype))
    scan = read(path)
    np.testing.assert_array_equal(scan.array, numbers(dtype=dtype))
    np.testing.assert_allclose(scan.affine, loaded(path).affine, atol=1e-5)
    assert (scan.dtype.newbyteorder("="), scan.remarks) == (np.dtype(dtype), ())
    bigger = Scan(np.repeat(scan.array, 2, 0), affine=scaled_affine(scan.affine, (2, 1, 1)))
    write(bigger, tmp_path / f"out-{name}", like=scan)
    again = loaded(tmp_path / f"out-{name}")
    np.testing.assert_array_equal(again.get_fdata(), bigger.array)
    np.testing.assert_allclose(again.affine, bigger.affine, atol=1e-4)
    assert again.get_data_dtype().newbyteorder("=") == dtype
    write(bigger, tmp_path / "out.nii.gz", like=scan)
    nifti = nibabel.load(tmp_path / "out.nii.gz")
    assert isinstance(nifti.header, nibabel.Nifti1Header)
    assert nifti.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(nifti.affine, bigger.affine, atol=1e-4)


@given(affine=affines(sheared=True))
def test_any_geometry(tmp_path_factory, affine):
    path = save(tmp_path_factory.mktemp("mgh") / "a.mgz", affine=affine)
    np.testing.assert_allclose(read(path).affine, affine, atol=1e-3)


def test_a_series_keeps_its_repetition_time(tmp_path):
    scan = read(save(tmp_path / "a.mgz", numbers((5, 7, 4, 3)), tr=2500))
    assert scan.array.shape == (5, 7, 4, 3)
    assert scan.header["pixdim"][4] == pytest.approx(2.5)
    write(scan, tmp_path / "b.mgz", like=scan)
    again = loaded(tmp_path / "b.mgz")
    assert again.header["tr"] == 2500
    np.testing.assert_array_equal(again.get_fdata(), numbers((5, 7, 4, 3)))
    write(scan, tmp_path / "b.nii", like=scan)
    assert nibabel.load(tmp_path / "b.nii").header.get_zooms()[3] == pytest.approx(2.5)
    assert repetition_time(b"") == repetition_time(struct.pack(">f", np.nan)) == 0


def test_tags_behind_the_voxels_and_gzip_members(tmp_path):
    content = gzip.decompress(save(tmp_path / "a.mgz").read_bytes()) + b"mri_convert " * 9000
    path = tmp_path / "b.mgz"
    path.write_bytes(gzip.compress(content[:100]) + gzip.compress(content[100:]))
    np.testing.assert_array_equal(read(path).array, numbers())


def test_other_types_become_the_next_larger_one(tmp_path):
    for dtype, stored in ((np.int8, "i2"), (np.uint16, "i4"), (np.int64, "f4"), (np.float64, "f4")):
        image = nibabel.Nifti1Image(numbers(dtype=dtype), AFFINE, dtype=dtype)
        image.to_filename(tmp_path / "a.nii")
        scan = read(tmp_path / "a.nii")
        write(scan, tmp_path / "a.mgz", like=scan)
        again = loaded(tmp_path / "a.mgz")
        assert again.get_data_dtype() == np.dtype(f">{stored}")
        np.testing.assert_array_equal(again.get_fdata(), numbers(dtype=dtype))


def test_without_an_orientation_a_line_says_what_was_taken(tmp_path):
    content = bytearray(save(tmp_path / "a.mgh").read_bytes())
    content[28:30] = b"\0\0"
    (tmp_path / "a.mgh").write_bytes(content)
    scan = read(tmp_path / "a.mgh")
    assert scan.remarks == (
        f"{tmp_path / 'a.mgh'}: does not say where it lies: taken as coronal, as FreeSurfer does",
    )
    np.testing.assert_allclose(scan.affine, loaded(tmp_path / "a.mgh").affine)


def test_damaged_files_are_refused(tmp_path):
    plain = save(tmp_path / "a.mgh")
    whole = plain.read_bytes()
    for at, content, said in (
        (0, b"\0\0\0\2", "not a volume of FreeSurfer"),
        (4, b"\xff\xff\xff\xff", "impossible sizes"),
        (4, b"\0\x0f\0\0", "truncated"),
        (20, b"\0\0\0\x09", "its voxels are not numbers"),
        (30, b"\x7f\xc0\0\0", "the affine"),
    ):
        changed = bytearray(whole)
        changed[at : at + len(content)] = content
        plain.write_bytes(changed)
        refusal(plain, said)
    plain.write_bytes(whole[:-20])  # without what comes behind the voxels
    read(plain)
    refused_wherever_cut(plain)
    plain.write_bytes(gzip.compress(whole))
    refusal(plain, "rename it to .mgz")
    (tmp_path / "b.mgz").write_bytes(whole)
    refusal(tmp_path / "b.mgz", "rename it to .mgh")
