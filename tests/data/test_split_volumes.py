"""From a recipe's section to volumes: every data set, with damaged files in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from iconet.data.selection import Data
from iconet.data.split_volumes import tables_of_scans, volumes_for
from iconet.data.splits import read_table
from iconet.errors import InputError

from .published import HEADER, fastmri, nifti, truncated


def ixi(root: Path) -> list[Path]:
    for number in range(8):
        for contrast in ("T1", "T2"):
            nifti(root / f"IXI-{contrast}/IXI{number:03}-HH-12-{contrast}.nii.gz")
    return [truncated(root / "IXI-T2/IXI003-HH-12-T2.nii.gz")]


def hecktor(root: Path) -> list[Path]:
    for number in range(8):
        path = nifti(root / f"imagesTr/CHUM-{number:03}__CT.nii.gz", hounsfield(number))
        nifti(path.with_name(path.name.replace("CT", "PT")))
    return [truncated(root / "imagesTr/CHUM-003__PT.nii.gz")]


def bids(root: Path) -> list[Path]:
    for number in range(8):
        nifti(root / f"sub-{number:02}/ses-1/anat/sub-{number:02}_ses-1_T1w.nii.gz")
    lost = root / "sub-05/ses-1/anat/sub-05_ses-1_T1w.nii.gz"
    lost.unlink()
    lost.symlink_to(root / ".git/annex/objects/nothing")
    return [lost, truncated(root / "sub-06/ses-1/anat/sub-06_ses-1_T1w.nii.gz")]


def folder(root: Path) -> list[Path]:
    for number in range(8):
        nifti(root / f"head {number}.nii.gz")
    bad = root / "head 9.nii"
    bad.write_bytes(b"no scan")
    return [bad, truncated(root / "head 3.nii.gz")]


def fastmri_set(root: Path) -> list[Path]:
    train = root / "multicoil_train"
    for number in range(8):
        fastmri(train / f"file{number}.h5")
    fastmri(root / "multicoil_val/file8.h5")
    bad = [train / f"bad{number}.h5" for number in range(4)]
    fastmri(bad[0], kspace=False)
    fastmri(bad[1], header="no XML")
    fastmri(bad[2], header=HEADER.replace("encodedSpace", "other"))
    fastmri(bad[3])
    bad[3].write_bytes(bad[3].read_bytes()[:5000])
    return bad


def hounsfield(seed: int) -> np.ndarray:
    """A round body of about 40 HU in air, in a circle; -3024 outside of that, as scanners store."""
    x, y = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 40), indexing="ij")
    radius = np.hypot(x, y)[..., None]
    noise = np.random.default_rng(seed).normal(0, 10, (48, 40, 4))
    values = np.where(radius < 0.7, 40.0, -1000.0) + noise
    return np.where(radius > 1.3, -3024, values.round()).astype(np.int16)


SETS: dict[str, Callable[[Path], list[Path]]] = {
    "ixi": ixi,
    "hecktor": hecktor,
    "bids": bids,
    "folder": folder,
    "fastmri": fastmri_set,
}


@pytest.mark.parametrize("layout", SETS)
def test_damaged_scans_are_named_counted_and_left_out(
    tmp_path: Path, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, output = tmp_path / "scans ü", tmp_path / "out"
    damaged = SETS[layout](root)
    data = Data(root=root, layout=layout)
    rows = read_table(tables_of_scans(data, output)[0])
    capsys.readouterr()
    found, left_out = [], []
    for split in ("train", "validation", "test"):
        volumes, reasons = volumes_for(data, split, output)
        said = capsys.readouterr().out.splitlines()
        assert said == [
            *(f"left out: {reason}" for reason in reasons),
            f"{split}: {len(volumes)} scans, {len(reasons)} left out",
        ]
        assert len(volumes) + len(reasons) == sum(row["split"] == split for row in rows)
        found += volumes
        left_out += reasons
    assert len(found) == len(rows) - len(damaged)
    for path in damaged:
        assert sum(reason.startswith(f"{path}: ") for reason in left_out) == 1
    for volume in found:
        assert volume.name.startswith(f"{volume.dataset}/")
        assert volume.slices.dtype == torch.float16
        assert len(volume.slices) and not any(side % 8 for side in volume.slices.shape[1:])
        assert 0.8 < float(volume.slices.float().quantile(0.95)) < 1.2


def test_prepared_slices_are_what_preparing_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ixi(tmp_path / "scans")
    data = Data(root=tmp_path / "scans", layout="ixi")
    [table] = tables_of_scans(data, tmp_path / "out")
    shutil.copy(table, tmp_path / "scans")
    as_table = Data(root=tmp_path / "scans")
    in_memory, reasons = volumes_for(as_table, "train", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    for _ in range(2):
        kept, again = volumes_for(data, "train", tmp_path / "out")
        assert again == reasons
        assert [v.name for v in kept] == [v.name for v in in_memory]
        assert all(torch.equal(a.slices, b.slices) for a, b in zip(kept, in_memory, strict=True))
        # The second time nothing but the damaged scan is read again.
        monkeypatch.setattr("iconet.data.split_volumes.keep", None)


def test_the_table_is_written_once_and_its_folder_may_not_change(tmp_path: Path) -> None:
    root, output = tmp_path / "scans", tmp_path / "out"
    for number in range(5):
        nifti(root / f"{number}.nii.gz")
    data = Data(root=root, layout="folder")
    [table] = tables_of_scans(data, output)
    assert table == output / "splits.csv"
    assert tables_of_scans(data, output) == [table]
    nifti(root / "new.nii.gz")
    with pytest.raises(InputError, match="lists other scans") as error:
        tables_of_scans(data, output)
    assert str(error.value).startswith(f"{table}: ")
    # As the message says: keep it, or delete it.
    assert tables_of_scans(Data(root=root, layout="folder", splits=str(table)), output) == [table]
    table.unlink()
    assert len(read_table(tables_of_scans(data, output)[0])) == 6


def test_a_table_in_the_folder_is_used(tmp_path: Path) -> None:
    nifti(tmp_path / "IXI012-HH-1211-T2.nii.gz")
    (tmp_path / "splits.csv").write_text(
        "dataset,subject,split,path,contrast,sharp_plane\n"
        "mine,1,train,IXI012-HH-1211-T2.nii.gz,T2,k\n"
        "mine,1,train,gone.nii.gz,T1,k\n"
    )
    data = Data(root=tmp_path, layout="ixi", contrasts=["T2"])
    [volume], left_out = volumes_for(data, "train", tmp_path / "out")
    assert (volume.dataset, left_out) == ("mine", [])
    assert not (tmp_path / "out/splits.csv").exists()


def test_a_table_that_was_named_and_is_missing_is_said(tmp_path: Path) -> None:
    nifti(tmp_path / "IXI012-HH-1211-T2.nii.gz")
    data = Data(root=tmp_path, layout="ixi", splits="mine.csv")
    with pytest.raises(InputError, match=r"mine\.csv: no such table"):
        volumes_for(data, "train", tmp_path / "out")
