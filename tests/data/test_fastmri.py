"""fastMRI's files, with the truth known in closed form."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from iconet.data.fastmri import fastmri_attributes, fastmri_scan, root_sum_of_squares
from iconet.errors import InputError
from iconet.images.kspace.raw_fastmri import fastmri_header
from iconet.images.kspace.read_kspace import read_kspace

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


def test_attributes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file1000001.h5"
    truth = fastmri(path, patient="abc", acquisition="CORPDFS_FBK")
    found = fastmri_attributes(path)
    assert found["patient_id"] == "abc"
    assert found["acquisition"] == "CORPDFS_FBK"
    assert found["max"] == pytest.approx(float(truth.max()))


def test_a_reconstruction_is_no_wider_than_the_measured_image(tmp_path: Path) -> None:
    path = tmp_path / "file_brain_AXFLAIR_200_6002471.h5"
    fastmri(path, encoded=(64, 44))
    with h5py.File(path) as file:
        header = fastmri_header(path, file)
    narrow = read_kspace(path).load(0)[..., 8:36]  # 28 columns, of the header's 32
    assert root_sum_of_squares(narrow, header).shape == (32, 28)


@pytest.mark.parametrize("kind", [MULTI, SINGLE], ids=["multi-coil", "single-coil"])
def test_undersampled_files_have_no_truth(tmp_path: Path, kind: dict) -> None:
    path = tmp_path / "file1000022.h5"
    fastmri(path, **kind, mask=True, reconstruction=False)
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
        ("not HDF5", "a web page"),
        ("empty", "empty"),
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
