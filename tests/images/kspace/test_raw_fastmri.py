"""fastMRI's files: their axes, their mask, and the header that says what they show."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images.kspace.raw_fastmri import fastmri_kspace, fastmri_mask, with_coils
from iconet.images.kspace.read_kspace import read_kspace

from ...data.published import fastmri


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file1000001.h5"


@pytest.mark.parametrize("coils", [3, None])
def test_slices_come_as_they_are_stored_single_coils_with_an_axis(
    path: Path, coils: int | None
) -> None:
    fastmri(path, coils=coils)
    raw = read_kspace(path)
    assert (raw.slices, raw.coils, raw.matrix, raw.shown) == (2, coils or 1, (64, 44), (32, 32))
    with h5py.File(path) as file:
        stored = file["kspace"][()]
    for index in range(2):
        found = raw.load(index)
        assert found.shape == (coils or 1, 64, 44) and found.dtype == np.complex64
        np.testing.assert_array_equal(found, stored[index] if coils else stored[index][None])


def test_their_place_is_not_known_but_their_spacing_is(path: Path) -> None:
    fastmri(path)
    raw = read_kspace(path)
    assert not raw.placed
    np.testing.assert_allclose(np.diag(raw.affine), [0.5, 0.7, 4.5, 1])
    np.testing.assert_allclose(raw.affine @ [32, 22, 1, 1], [0, 0, 0, 1])


def test_a_matrix_that_the_scanner_would_have_interpolated_to_changes_nothing(path: Path) -> None:
    """The voxels stay those that were measured, and the field of view that of the image."""
    header = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
    <encodedSpace><matrixSize><x>64</x><y>44</y><z>1</z></matrixSize>
    <fieldOfView_mm><x>32</x><y>30.8</y><z>4.5</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>320</x><y>320</y><z>1</z></matrixSize>
    <fieldOfView_mm><x>16</x><y>22.4</y><z>4.5</z></fieldOfView_mm></reconSpace>
    </encoding></ismrmrdHeader>"""
    fastmri(path, header=header.encode())
    assert read_kspace(path).shown == (32, 32)


def test_a_header_of_another_matrix_is_said_to_be(path: Path) -> None:
    header = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
    <encodedSpace><matrixSize><x>{}</x><y>{}</y><z>1</z></matrixSize>
    <fieldOfView_mm><x>32</x><y>30.8</y><z>4.5</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>32</x><y>32</y><z>1</z></matrixSize>
    <fieldOfView_mm><x>16</x><y>22.4</y><z>4.5</z></fieldOfView_mm></reconSpace>
    </encoding></ismrmrdHeader>"""
    said = []
    for sizes in ((64, 44), (64, 40), (44, 64)):
        fastmri(path, header=header.format(*sizes).encode())
        said.append(read_kspace(path).remarks)
    assert said == [
        (),
        (
            f"{path}: its header says 64 x 40 and its k-space 64 x 44 (readout x phase): pixels are"
            " taken as its field of view divided by the k-space",
        ),
        (
            f"{path}: its header says 44 x 64 and its k-space 64 x 44 (readout x phase): the axes"
            " may be exchanged",
        ),
    ]


def test_lines_outside_of_the_mask_are_not_measured(path: Path) -> None:
    """Whatever is stored there, as in files that were masked afterwards."""
    fastmri(path)
    mask = np.arange(44) % 2 == 0
    with h5py.File(path, "a") as file:
        stored = file["kspace"][()]
        file["mask"] = mask.astype(np.float32)[None]  # with an axis more than it needs
    np.testing.assert_array_equal(read_kspace(path).load(1), stored[1] * mask)


def test_a_file_without_a_mask_has_none(path: Path) -> None:
    fastmri(path)
    with h5py.File(path) as file:
        assert fastmri_mask(path, file, 44) is None
    fastmri(path, mask=True)
    with h5py.File(path) as file:
        assert fastmri_mask(path, file, 44).sum() == 20
        with pytest.raises(InputError, match="its mask has 44 lines and its kspace 43"):
            fastmri_mask(path, file, 43)


@pytest.mark.parametrize(
    "kspace", [np.ones((2, 3, 8, 8)), np.ones((8, 8), complex), np.ones((0, 3, 8, 8), complex)]
)
def test_kspace_of_other_numbers_or_axes_is_refused(path: Path, kspace: np.ndarray) -> None:
    fastmri(path, kspace=False)
    with h5py.File(path, "a") as file:
        file["kspace"] = kspace
        with pytest.raises(InputError, match="is not that of fastMRI: complex"):
            fastmri_kspace(path, file)
    with pytest.raises(InputError, match="is not that of fastMRI"):
        read_kspace(path)


def test_any_precision_becomes_complex64() -> None:
    assert with_coils(np.ones((2, 3, 8, 8), np.complex128)).dtype == np.complex64
    assert with_coils(np.ones((2, 8, 8), np.complex64)).shape == (2, 1, 8, 8)
