import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pytest

import iconet
from iconet.errors import InputError
from iconet.export import export_model
from iconet.network.config import SIZES

OBLIQUE = np.array(
    [[0.6, -0.32, 0.48, -90], [0.8, 0.24, -0.36, 20.5], [0, 0.3, 2.4, 33], [0, 0, 0, 1]]
)


SLAB = Path(iconet.__file__).parent / "demo_scan" / "sub-01_T1w_slab.nii.gz"


def save(path, values):
    nibabel.Nifti1Image(values, OBLIQUE).to_filename(path)
    return path


def texture():
    """Slices that reach their borders: of noise, constant, half masked and signed."""
    values = np.random.default_rng(0).gamma(2, 50, (33, 40, 4)).astype(np.float32)
    values[:, :, 1] = 7
    values[:15, :, 2] = 0
    values[:, :, 3] = values[:, :, 3] / 50 - 2
    return values


def run_bundle(bundle, *options):
    command = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", str(bundle)]
    config = ["--config_file", str(bundle / "configs" / "inference.json")]
    result = subprocess.run([*command, *config, *options], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(
    not find_spec("fire"), reason="monai[fire], which runs bundles, is not installed"
)
def test_a_bundle_enlarges_nifti_files_as_iconet_does(tmp_path):
    bundle = export_model("mri-x2", tmp_path / "mri-x2", "monai-bundle")
    head = np.asarray(nibabel.load(SLAB).dataobj, np.float32)[:, :, :2]
    save(tmp_path / "texture.nii.gz", texture())
    save(tmp_path / "head.nii.gz", head)
    files = str(tmp_path / "*.nii.gz")
    run_bundle(bundle, "--input", files, "--output_dir", str(tmp_path / "out"), "--device", "cpu")

    written, expected = results(tmp_path, "texture")
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-4)
    np.testing.assert_array_equal(written.get_fdata()[:, :, 1], 7)
    np.testing.assert_array_equal(written.get_fdata()[:30, :, 2], 0)
    for number in range(4):  # each slice by its own range
        slices = [result.get_fdata()[:, :, number] for result in (written, expected)]
        assert np.abs(slices[0] - slices[1]).max() <= 1e-5 * np.ptp(slices[1])

    # With air all around iconet takes the band of a periodic slice and keeps the air from the
    # network: 1e-2 and 6e-4 of the range are what was measured.
    written, expected = (result.get_fdata() for result in results(tmp_path, "head"))
    assert np.abs(written - expected).max() < 2e-2 * np.ptp(expected)
    assert np.sqrt(np.mean((written - expected) ** 2)) < 1e-3 * np.ptp(expected)


def results(folder, name):
    """Of the bundle and of iconet."""
    path = folder / f"{name}.nii.gz"
    options = {"precision": "fp32", "backend": "torch", "acquired": "off", "window": "none"}
    expected = iconet.upscale(path, "mri-x2", plane="k", **options)
    return nibabel.load(folder / "out" / f"{name}_x2.nii.gz"), expected


def test_the_folder_is_a_bundle(tmp_path, network):
    bundle = export_model(network, tmp_path / "bundle", "monai-bundle")
    files = sorted(str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file())
    assert files == [
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/model.ts",
        "scripts/__init__.py",
        "scripts/fidelity.py",
        "scripts/upscale.py",
    ]
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    # What MONAI's specification of bundles asks for.
    assert {
        "version", "changelog", "monai_version", "pytorch_version", "numpy_version",
        "required_packages_version", "task", "description", "authors", "copyright",
        "network_data_format",
    } <= set(metadata)  # fmt: skip
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    assert config["inferer"]["scale"] == network.scale


def test_a_network_of_one_axis_is_no_bundle(tmp_path, network, monkeypatch):
    monkeypatch.setattr(
        network, "metadata", {"recipe": '{"task": {"kind": "through-plane"}}'}, raising=False
    )
    with pytest.raises(InputError, match="one axis"):
        export_model(network, tmp_path / "bundle", "monai-bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_is_told_how_resolution_was_lost_is_no_bundle(tmp_path):
    told = iconet.ICONet(2, **SIZES["tiny"], described=8).eval()
    with pytest.raises(InputError, match="export mri-x2"):
        export_model(told, tmp_path / "bundle", "monai-bundle")
    assert not list(tmp_path.iterdir())
