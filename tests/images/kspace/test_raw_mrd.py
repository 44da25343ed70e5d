"""Raw data whose k-space is known, in ISMRMRD's layout."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images.kspace.raw_data import middle
from iconet.images.kspace.read_kspace import read_kspace

from ...images.raw_mrd import mrd

TURN = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # sagittal: read P, phase S, slice L
SHAPE = (2, 3, 32, 24)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "raw.h5"


def loaded(path: Path) -> np.ndarray:
    raw = read_kspace(path)
    return np.stack([raw.load(index) for index in range(raw.slices)])


def test_every_sample_comes_back_and_noise_scans_do_not(path: Path) -> None:
    kspace = noise(*SHAPE)
    mrd(path, kspace)
    raw = read_kspace(path)
    assert (raw.slices, raw.coils, raw.matrix, raw.shown) == (2, 3, (32, 24), (32, 24))
    np.testing.assert_array_equal(loaded(path), kspace)


def test_missing_lines_partial_fourier_and_asymmetric_echo_are_placed(path: Path) -> None:
    kspace = noise(*SHAPE)
    lines = np.arange(24) % 3 != 1
    mrd(path, kspace, lines=lines, first_line=5, samples=slice(7, 32))
    lines[:5] = False
    expected = kspace * lines
    expected[:, :, :7] = 0
    np.testing.assert_array_equal(loaded(path), expected)


def test_repeated_lines_are_averaged(path: Path) -> None:
    kspace = noise(1, 2, 32, 24)

    def repeat(heads: np.ndarray) -> None:
        heads["idx"]["kspace_encode_step_1"][1] = heads["idx"]["kspace_encode_step_1"][0]

    mrd(path, kspace, noise=False, change=repeat)
    found = loaded(path)
    np.testing.assert_allclose(found[..., 0], kspace[..., :2].mean(axis=-1), rtol=1e-6)
    assert not found[..., 1].any()


@pytest.mark.parametrize("mode", ["embedded", "separate"])
def test_calibration_lines_count_if_they_are_embedded(path: Path, mode: str) -> None:
    kspace = noise(*SHAPE)

    def flag(heads: np.ndarray) -> None:
        heads["flags"][heads["idx"]["kspace_encode_step_1"] == 12] |= 1 << 19

    mrd(path, kspace, calibration=mode, noise=False, change=flag)
    assert loaded(path)[..., 12].any() == (mode == "embedded")


def test_oversampling_is_what_lies_outside_of_the_wanted_field_of_view(path: Path) -> None:
    mrd(path, noise(*SHAPE), shown=(16, 20))
    assert read_kspace(path).shown == (16, 20)
    assert middle(32, 16) == slice(8, 24)
    # The centre stays n//2, whatever is odd.
    for length in (32, 33):
        for wanted in (16, 17):
            assert length // 2 - middle(length, wanted).start == wanted // 2


def test_the_affine_is_the_headers(path: Path) -> None:
    positions = np.array([[10.0, -20, 30], [14.5, -20, 30]])
    mrd(path, noise(*SHAPE), positions=positions, directions=TURN)
    raw = read_kspace(path)
    assert raw.placed
    for index, position in enumerate(positions):
        world = raw.affine @ [16, 12, index, 1]
        np.testing.assert_allclose(world[:3], position * [-1, -1, 1], atol=1e-4)
    step = raw.affine[:3, :3]
    np.testing.assert_allclose(step[:, 0], [0, -1.5, 0], atol=1e-5)  # posterior
    np.testing.assert_allclose(step[:, 1], [0, 0, 1.25], atol=1e-5)  # superior
    np.testing.assert_allclose(step[:, 2], [-4.5, 0, 0], atol=1e-5)  # left, gap included


def test_interleaved_slices_are_ordered_by_position(path: Path) -> None:
    kspace = noise(4, 1, 32, 24)
    positions = np.outer([2, 0, 3, 1], TURN[2]) * 5.0
    mrd(path, kspace, positions=positions, directions=TURN, order=(3, 1, 0, 2))
    np.testing.assert_array_equal(loaded(path), kspace[[1, 3, 0, 2]])


def test_without_positions_the_spacing_is_right_and_the_origin_in_the_middle(path: Path) -> None:
    mrd(path, noise(*SHAPE))
    raw = read_kspace(path)
    assert not raw.placed
    np.testing.assert_allclose(np.diag(raw.affine), [1.5, 1.25, 4, 1])
    np.testing.assert_allclose(raw.affine @ [16, 12, 1, 1], [0, 0, 0, 1])


def test_a_3d_scan_becomes_slices(path: Path) -> None:
    images = noise(2, 32, 24, 6)
    shifted = np.fft.ifftshift(images, axes=-1)
    kspace = np.fft.fftshift(np.fft.fft(shifted, norm="ortho"), axes=-1)
    mrd(path, kspace, positions=np.array([[1.0, 2, 3]]), directions=TURN, three=True)
    raw = read_kspace(path)
    assert raw.slices == 6
    np.testing.assert_allclose(loaded(path), images.transpose(3, 0, 1, 2), atol=1e-5)
    np.testing.assert_allclose(raw.affine @ [16, 12, 3, 1], [-1, -2, 3, 1], atol=1e-5)


def test_the_formats_own_package_writes_what_is_read(path: Path) -> None:
    ismrmrd = pytest.importorskip("ismrmrd", reason="the ismrmrd package is not installed")
    kspace = noise(1, 2, 32, 24)
    mrd(path, kspace)
    with h5py.File(path) as file:
        xml = file["dataset/xml"][0]
    other = path.with_name("written.mrd")
    with ismrmrd.Dataset(str(other)) as dataset:
        dataset.write_xml_header(xml)
        for line in range(24):
            readout = ismrmrd.Acquisition.from_array(kspace[0, :, :, line])
            readout.center_sample = 16
            readout.idx.kspace_encode_step_1 = line
            readout.position[:] = (1, 2, 3)
            readout.read_dir[:], readout.phase_dir[:], readout.slice_dir[:] = TURN.tolist()
            dataset.append_acquisition(readout)
    np.testing.assert_array_equal(loaded(other), kspace)
    np.testing.assert_allclose(read_kspace(other).affine @ [16, 12, 0, 1], [-1, -2, 3, 1])


def set_counter(name: str, row: int = 1, value: int = 3):
    def change(heads: np.ndarray) -> None:
        heads["idx"][name][row] = value

    return change


def set_field(name: str, value: object, rows: object = slice(None)):
    def change(heads: np.ndarray) -> None:
        heads[name][rows] = value

    return change


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"trajectory": "radial"}, "trajectory is radial"),
        ({"change": set_counter("contrast")}, "'contrast'"),
        ({"change": set_counter("repetition")}, "'repetition'"),
        ({"change": set_field("flags", 1 << 21)}, "in reverse"),
        ({"change": set_field("flags", 1 << 18)}, "no readout"),
        ({"change": set_field("center_sample", 3)}, "do not fit the encoded matrix"),
        ({"change": set_field("active_channels", 0)}, "do not fit the encoded matrix"),
        ({"change": set_counter("kspace_encode_step_1", 1, 900)}, "do not fit the encoded matrix"),
        ({"change": set_field("number_of_samples", 9, 1)}, "differ in number_of_samples"),
        ({"change": set_field("encoding_space_ref", 1)}, "no encoding 1"),
        ({"change": set_field("encoding_space_ref", 1, 1)}, "2 encodings"),
        ({"change": set_field("position", np.nan)}, "are not numbers"),
        ({"positions": TURN[:2], "directions": TURN * 0.5}, "not three axes"),
        ({"positions": TURN[:2], "directions": TURN[[0, 0, 2]]}, "not three axes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused_in_one_line(path: Path, options: dict, reason: str) -> None:
    mrd(path, noise(*SHAPE), noise=False, **options)
    with pytest.raises(InputError, match=reason) as error:
        read_kspace(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_uneven_slices_are_refused(path: Path) -> None:
    positions = np.outer([0.0, 5, 12], TURN[2])
    mrd(path, noise(3, 1, 32, 24), positions=positions, directions=TURN)
    with pytest.raises(InputError, match="not evenly spaced"):
        read_kspace(path)


@pytest.mark.parametrize("how", ["truncated", "other", "cut off", "no xml"])
def test_damaged_files_are_refused_in_one_line(path: Path, how: str) -> None:
    mrd(path, noise(*SHAPE))
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:4000])
    else:
        with h5py.File(path, "a") as file:
            if how == "other":
                file.move("dataset/data", "dataset/image")
            elif how == "no xml":
                file["dataset/xml"][0] = "<a"
            else:
                record = file["dataset/data"][5]
                record["data"] = record["data"][:-8]
                file["dataset/data"][5] = record
    with pytest.raises(InputError) as error:
        loaded(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
