"""fastMRI's files, with the truth known in closed form."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from iconet.data.fastmri import fastmri_attributes, fastmri_scan, read_fastmri, reconstruct
from iconet.errors import InputError

from .published import HEADER, fastmri

MULTI = {"coils": 3}
SINGLE = {"coils": None}


@pytest.mark.parametrize("kind", [MULTI, SINGLE], ids=["multi-coil", "single-coil"])
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "from k-space"])
@pytest.mark.parametrize(
    ("encoded", "recon"), [((64, 44), (32, 32)), ((65, 41), (32, 40)), ((64, 32), (32, 32))]
)
def test_the_truth_is_the_middle_of_the_oversampled_image(
    tmp_path: Path, kind: dict, stored: bool, encoded: tuple[int, int], recon: tuple[int, int]
) -> None:
    path = tmp_path / "file1000001.h5"
    truth = fastmri(path, **kind, encoded=encoded, recon=recon, reconstruction=stored)
    scan = fastmri_scan(path)
    assert scan.array.dtype == np.float32
    np.testing.assert_allclose(scan.array, truth, atol=1e-6 * truth.max())
    assert scan.spacing == pytest.approx((4.5, 0.5, 0.7))
    assert scan.path == path


@pytest.mark.parametrize("coils", [3, None])
def test_raw_data_header_and_attributes_are_read(tmp_path: Path, coils: int | None) -> None:
    path = tmp_path / "file1000001.h5"
    truth = fastmri(path, coils=coils, patient="abc", acquisition="CORPDFS_FBK")
    found = read_fastmri(path)
    assert found.kspace.shape == (2, coils or 1, 64, 44)
    assert found.kspace.dtype == np.complex64
    assert found.header.encoded.matrix == (64, 44, 1)
    assert found.header.recon.matrix == (32, 32, 1)
    assert found.header.recon.field_of_view == pytest.approx((16, 22.4, 4.5))
    assert found.mask is None
    assert found.attributes["patient_id"] == "abc"
    assert found.attributes["acquisition"] == "CORPDFS_FBK"
    assert found.attributes["max"] == pytest.approx(float(truth.max()))
    assert fastmri_attributes(path) == found.attributes
    # What is stored is what k-space gives.
    made = reconstruct(found.kspace, found.header)
    np.testing.assert_allclose(made, found.target, atol=1e-6 * truth.max())
    np.testing.assert_array_equal(found.target, truth)


def test_a_reconstruction_is_no_wider_than_the_measured_image(tmp_path: Path) -> None:
    path = tmp_path / "file_brain_AXFLAIR_200_6002471.h5"
    fastmri(path, encoded=(64, 44))
    found = read_fastmri(path)
    narrow = found.kspace[..., 8:36]  # 28 columns, of the header's 32
    assert reconstruct(narrow, found.header).shape == (2, 32, 28)


@pytest.mark.parametrize("kind", [MULTI, SINGLE], ids=["multi-coil", "single-coil"])
def test_undersampled_files_have_a_mask_and_no_truth(tmp_path: Path, kind: dict) -> None:
    path = tmp_path / "file1000022.h5"
    fastmri(path, **kind, mask=True, reconstruction=False)
    found = read_fastmri(path)
    assert found.target is None
    assert found.mask is not None and found.mask.dtype == bool
    assert np.array_equal(found.kspace.any(axis=(0, 1, 2)), found.mask)
    with pytest.raises(InputError, match="undersampled") as error:
        fastmri_scan(path)
    assert str(error.value).startswith(f"{path}: ")


def broken(path: Path, how: str) -> None:
    match how:
        case "truncated":
            fastmri(path, slices=8)
            path.write_bytes(path.read_bytes()[:9000])
        case "not HDF5":
            path.write_bytes(b"<html>sign in to download</html>")
        case "empty":
            path.touch()
        case "missing":
            pass
        case "no k-space":
            fastmri(path, kspace=False)
        case "k-space is a group":
            fastmri(path, kspace=False)
            with h5py.File(path, "a") as file:
                file.create_group("kspace")
        case "real k-space":
            fastmri(path, kspace=False)
            with h5py.File(path, "a") as file:
                file["kspace"] = np.ones((2, 3, 64, 44), np.float32)
        case "no header":
            fastmri(path, header=None)
        case "header is no XML":
            fastmri(path, header="siemens")
        case "header is numbers":
            fastmri(path, header=None)
            with h5py.File(path, "a") as file:
                file["ismrmrd_header"] = np.arange(5)
        case "header without recon":
            fastmri(path, header=HEADER.replace("reconSpace", "other"))
        case "header of size 0":
            fastmri(path, header=HEADER.replace("{rx}", "0"))
        case "reconstruction is flat":
            fastmri(path, reconstruction=False)
            with h5py.File(path, "a") as file:
                file["reconstruction_rss"] = np.ones((32, 32), np.float32)
        case "NaN":
            fastmri(path, reconstruction=False)
            with h5py.File(path, "a") as file:
                file["reconstruction_rss"] = np.full((2, 32, 32), np.nan, np.float32)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("truncated", "cannot be read"),
        ("not HDF5", "cannot be read"),
        ("empty", "cannot be read"),
        ("missing", "no such file"),
        ("no k-space", "no data set 'kspace'"),
        ("k-space is a group", "no data set 'kspace'"),
        ("real k-space", "its kspace"),
        ("no header", "no data set 'ismrmrd_header'"),
        ("header is no XML", "its ismrmrd_header"),
        ("header is numbers", "its ismrmrd_header"),
        ("header without recon", "no reconSpace/matrixSize/x"),
        ("header of size 0", "reconSpace/matrixSize/x is 0"),
        ("reconstruction is flat", "its reconstruction_rss"),
        ("NaN", "NaN"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, how: str, reason: str) -> None:
    path = tmp_path / "file1000001.h5"
    broken(path, how)
    with pytest.raises(InputError, match=reason) as error:
        fastmri_scan(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
