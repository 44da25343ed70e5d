"""Batches of the through-plane task, and the planes its slices come from."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from iconet.data import Batch, ThroughPlaneSampler, Volume
from iconet.data.selection import Data
from iconet.data.split_volumes import volumes_for
from iconet.data.volumes import square_planes
from iconet.physics.kspace import resize_kspace
from iconet.physics.slice_mix import SliceMix

KSPACE = SliceMix(gaussian=0, rect=0, kspace=1, gap_max=0, noise_probability=0)


def volume() -> Volume:
    coarse = torch.rand(3, 1, 12, 10, generator=torch.Generator().manual_seed(0))
    slices = F.interpolate(0.3 + 0.7 * coarse, size=(96, 80), mode="bicubic").clamp(0.2, 1.2)
    return Volume("a/1/T1w", "a", slices[:, 0].half())


def sampler(**changes: object) -> ThroughPlaneSampler:
    options = {"weights": {}, "scale": 2, "patch": 32, "batch": 8, "mix": KSPACE, "seed": 3}
    options |= {"device": torch.device("cpu"), **changes}
    return ThroughPlaneSampler([volume()], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2, 4])
def test_every_size_is_there_for_the_loss_of_every_stage(scale: int) -> None:
    low, clean, samples = sampler(scale=scale, patch=64)(0)
    assert low.shape == (8, 1, 64 // scale, 64 // scale) and samples is None
    assert [image.shape[-1] for image in clean] == [64 // scale * 2**i for i in range(len(clean))]
    assert clean[-1].shape == (8, 1, 64, 64)


def batches(scale: int = 2) -> list[Batch]:
    draw = sampler(scale=scale, patch=64)
    return [draw(step) for step in range(4)]


def test_columns_of_the_clean_image_hold_no_more_than_those_of_the_input() -> None:
    """Along columns the target is interpolation; along rows it has what the input lacks."""
    for low, clean, _ in batches():
        smooth = clean[-1][..., 8:-8, 8:-8] * torch.hann_window(48) * torch.hann_window(48)[:, None]
        power = torch.fft.rfft2(smooth).abs().square().sum((0, 1))
        columns = torch.fft.rfft(smooth, dim=-1).abs().square().sum((0, 1, 2))
        rows = torch.fft.rfft(smooth, dim=-2).abs().square().sum((0, 1, 3))
        assert columns[14:].sum() < 1e-4 * columns.sum()
        assert power.isfinite().all() and low.isfinite().all()
        assert rows[14:].sum() > columns[14:].sum()


def test_the_first_clean_image_is_what_an_ideal_profile_sees() -> None:
    """With a crop of k-space and no noise the input is already the target of its size."""
    for low, clean, _ in batches():
        torch.testing.assert_close(low, clean[0], atol=1e-4, rtol=1e-3)


def test_either_axis_of_a_slice_becomes_thick() -> None:
    """Every patch is a window of a slice thickened along its rows or along its columns."""
    images = volume().slices.float()[:, None]
    candidates = {
        "rows": torch.cat([resize_kspace(images, (48, 80)).abs()]),
        "columns": torch.cat([resize_kspace(images.mT, (40, 96)).abs()]),
    }
    found = set()
    for low, _, _ in [sampler()(step) for step in range(6)]:
        patch = low[0, 0] / low[0, 0].norm()
        scores = {}
        for name, stack in candidates.items():
            stack = torch.cat([stack, stack.flip(2), stack.flip(3), stack.flip(2, 3)])
            windows = stack.unfold(2, 16, 1).unfold(3, 16, 1)
            match = (windows * patch).sum((-1, -2)) / windows.norm(dim=(-1, -2))
            scores[name] = float(match.max())
        best = max(scores, key=lambda name: scores[name])
        assert scores[best] > 0.9999  # the same window, flipped at most
        found.add(best)
    assert found == {"rows", "columns"}


def test_a_batch_is_a_function_of_seed_and_step_alone() -> None:
    noisy = {"mix": SliceMix(noise_probability=1)}
    one, other = sampler(**noisy), sampler(**noisy)
    first = one(4)
    assert torch.equal(first.low, other(4).low)
    assert not torch.equal(first.low, other(5).low)


def scan(path: Path, spacing: tuple[float, float, float]) -> Path:
    grid = np.indices((40, 48, 32)).astype(np.float32)
    array = (((grid - 20) ** 2).sum(0) < 300) * (500 + 20 * grid[0])
    nibabel.Nifti1Image(array.astype(np.float32), np.diag([*spacing, 1])).to_filename(path)
    return path


def test_planes_with_nearly_square_pixels_are_all_used(tmp_path: Path) -> None:
    assert square_planes(scan(tmp_path / "a.nii", (1, 1.33, 1.33)), "i") == ["i", "j", "k"]
    assert square_planes(scan(tmp_path / "a.nii", (1.1, 1.1, 2)), "axial") == ["axial"]
    # Another plane may be the only one that is square beside the sharp one.
    assert square_planes(scan(tmp_path / "a.nii", (1, 1, 2)), "i") == ["i", "k"]
    assert square_planes(tmp_path / "gone.nii", "axial") == ["axial"]
    (tmp_path / "file.h5").write_bytes(b"no image")
    assert square_planes(tmp_path / "file.h5", "k") == ["k"]


@pytest.mark.parametrize("layout", ["table", "folder"])
def test_each_plane_is_a_volume_of_its_own(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "scans"
    root.mkdir()
    for number in range(4):
        scan(root / f"{number}.nii.gz", (1, 1.2, 1.1))
    data = Data(root=root, layout="folder")
    for _ in range(2):  # prepared, then mapped
        plain, _ = volumes_for(data, "train", tmp_path / "out")
        volumes, left_out = volumes_for(data, "train", tmp_path / "out", square=True)
        assert not left_out and len(volumes) == 3 * len(plain) > 0
        sizes = {tuple(volume.slices.shape[1:]) for volume in volumes}
        assert sizes == {(48, 32), (40, 32), (40, 48)}
    if layout == "table":
        table = tmp_path / "out/splits.csv"
        again, _ = volumes_for(Data(root=root, splits=str(table)), "train", tmp_path, square=True)
        assert [v.slices.shape for v in again] == [v.slices.shape for v in volumes]
