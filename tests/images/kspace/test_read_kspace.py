"""Which files are raw k-space, and what reads them."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from iconet.errors import InputError
from iconet.images.kspace.read_kspace import is_kspace_file, read_kspace

from ...images.raw_fastmri import fastmri
from ...images.raw_mrd import mrd


def test_files_are_known_by_their_suffix() -> None:
    assert is_kspace_file("a.h5") and is_kspace_file(Path("b.MRD"))
    assert not is_kspace_file("a.nii.gz")


def test_a_file_is_read_by_what_it_holds(tmp_path: Path) -> None:
    """Not by its suffix, which both formats share."""
    kspace = np.random.default_rng(0).normal(size=(2, 3, 32, 24, 2)).astype(np.float32)
    kspace = kspace.view(np.complex64)[..., 0]
    mrd(tmp_path / "a.h5", kspace)
    fastmri(tmp_path / "b.h5", torch.from_numpy(kspace))
    for name in ("a.h5", "b.h5"):
        raw = read_kspace(str(tmp_path / name))
        assert (raw.path, raw.slices, raw.coils, raw.matrix) == (tmp_path / name, 2, 3, (32, 24))
        np.testing.assert_array_equal(raw.load(1), kspace[1])


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["image"] = np.ones((4, 4))
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "stream.mrd").write_bytes(b"\0\0\1\0" + bytes(500))
    (tmp_path / "pointer.h5").write_bytes(b"/annex/objects/MD5E-s2280000--b3b0.h5\n")
    (tmp_path / "gone.h5").symlink_to(".git/annex/objects/x/y.h5")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "page.h5").write_text("<html>Please log in</html>")
    for name, said in [
        ("other.h5", "holds no raw data; give a file of fastMRI"),
        ("text.h5", "is not HDF5; convert"),
        ("stream.mrd", "is not HDF5; convert a stream of MRD .version 2"),
        ("pointer.h5", "its content was not fetched; fetch it"),
        ("gone.h5", "a link to a file that is not there; fetch it"),
        ("empty.h5", "empty"),
        ("page.h5", "a web page"),
        ("missing.h5", "no such file"),
    ]:
        with pytest.raises(InputError, match=said) as error:
            read_kspace(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(error.value)


def test_a_file_that_another_program_has_open_is_not_called_damaged(tmp_path: Path) -> None:
    """Also where that program did not end well, and behind a block of the user's."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["image"] = np.ones((4, 4))
    with h5py.File(path, "w", userblock_size=1024) as file:
        file["image"] = np.ones((4, 4))
    with pytest.raises(InputError, match="holds no raw data"):
        read_kspace(path)
    hold = (
        "import h5py, sys\n"
        f"file = h5py.File({str(path)!r}, 'a', locking=True)\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match="in use by another program") as error:
            read_kspace(path)
        assert "download" not in str(error.value) and "\n" not in str(error.value)
        other.kill()
    with h5py.File(path, "w", libver="latest") as file:
        file["image"] = np.ones((4, 4))
    left = bytearray(path.read_bytes())
    left[11] |= 1  # the superblock's flag of a writer
    path.write_bytes(left)
    with pytest.raises(InputError) as error:
        read_kspace(path)
    assert "\n" not in str(error.value)
