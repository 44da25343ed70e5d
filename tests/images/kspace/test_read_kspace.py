"""Which files are raw k-space, and what reads them."""

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
    for name, said in [
        ("other.h5", "holds no raw data; give a file of fastMRI"),
        ("text.h5", "cannot be read"),
        ("missing.h5", "no such file"),
    ]:
        with pytest.raises(InputError, match=said) as error:
            read_kspace(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(error.value)
