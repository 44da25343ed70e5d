"""The demonstration from the bundled scan to the picture."""

import contextlib
import io
import json
from dataclasses import asdict

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from iconet import demo
from iconet.errors import InputError
from iconet.network import SIZES, ICONet


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    model = ICONet(scale=2, **SIZES["tiny"])
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    metadata = {"format": "iconet", "config": json.dumps(asdict(model.config))}
    save_file(model.state_dict(), path, metadata)
    return path


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One run for all tests: its folder, what it returned and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "two words" / "out"
    folder.mkdir(parents=True)
    (folder / "bicubic.nii.gz").write_text("left over from an earlier run")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        results = demo.run(folder)
    return folder, results, said.getvalue()


def test_the_demo_writes_scans_and_picture_and_prints_what_it_measured(shown):
    folder, results, text = shown
    for name, result in results.items():
        row = next(line for line in text.splitlines() if name in line)
        assert f"{result.metrics.psnr_foreground:.2f}" in row
        assert f"{result.metrics.ssim_foreground:.4f}" in row
    assert "Data range" in text
    assert "demo.png" in text

    truth = nibabel.load(folder / "truth.nii.gz")
    low = nibabel.load(folder / "low-resolution.nii.gz")
    assert [2 * n for n in low.shape[:2]] == list(truth.shape[:2])
    for name in ("nearest", "bicubic", "zero-filling", "iconet"):
        image = nibabel.load(folder / f"{name}.nii.gz")
        assert image.shape == truth.shape
        assert np.allclose(image.affine, truth.affine, atol=1e-4)
    with Image.open(folder / "demo.png") as picture:
        picture.verify()
    assert results["Zero-filling"].metrics.psnr > results["Nearest"].metrics.psnr + 2


def test_the_shipped_model_beats_every_interpolation(shown):
    others = {name: result.metrics for name, result in shown[1].items()}
    ours = others.pop(demo.ICONET)
    assert ours.psnr_foreground > 0.5 + max(other.psnr_foreground for other in others.values())
    assert ours.ssim_foreground > max(other.ssim_foreground for other in others.values())


def test_an_unusable_folder_is_named(weights, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("here")
    with pytest.raises(InputError, match=r"file.*--output"):
        demo.run(occupied, model=str(weights))
    assert occupied.read_text() == "here"
