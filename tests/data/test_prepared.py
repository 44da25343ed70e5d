"""Prepared slices come back as they were, and only for the scan they were made of."""

import os
from pathlib import Path

import pytest
import torch

from iconet.data.prepared import keep, mapped, prepared_file
from iconet.errors import InputError


@pytest.mark.parametrize("count", [0, 3])
def test_slices_come_back(tmp_path: Path, count: int) -> None:
    slices = torch.rand(count, 16, 24).half()
    keep(slices, tmp_path / "new ü" / "a.npy")
    found = mapped(tmp_path / "new ü" / "a.npy")
    assert found.dtype == torch.float16
    assert torch.equal(found, slices)


def test_what_is_done_to_them_in_memory_stays_there(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    keep(torch.ones(2, 8, 8).half(), file)
    mapped(file).zero_()
    assert mapped(file).all()


def test_another_scan_or_way_has_another_file(tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii"
    scan.write_bytes(b"one")
    first = prepared_file(tmp_path, scan, "auto", "T1")
    assert prepared_file(tmp_path, scan, "auto", "T1") == first
    others = {prepared_file(tmp_path, scan, "i", "T1"), prepared_file(tmp_path, scan, "auto", "CT")}
    others.add(prepared_file(tmp_path, tmp_path / "missing.nii", "auto", "T1"))
    scan.write_bytes(b"other")
    others.add(prepared_file(tmp_path, scan, "auto", "T1"))
    os.utime(scan, ns=(1, 1))
    others.add(prepared_file(tmp_path, scan, "auto", "T1"))
    assert len(others | {first}) == 6


def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        keep(torch.ones(2, 8, 8), tmp_path / "a.npy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"garbage" * 20])
def test_a_file_damaged_since_is_said(tmp_path: Path, content: bytes | None) -> None:
    keep(torch.ones(2, 8, 8), tmp_path / "a.npy")
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-10] if content is None else content)
    with pytest.raises(InputError, match=r"damaged .*delete it") as error:
        mapped(tmp_path / "a.npy")
    assert "\n" not in str(error.value)
