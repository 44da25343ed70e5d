import json
import subprocess
import sys
from importlib.util import find_spec

import nibabel
import numpy as np
import pytest

import iconet
from iconet.errors import InputError
from iconet.export import export_model

OBLIQUE = np.array(
    [[0.6, -0.32, 0.48, -90], [0.8, 0.24, -0.36, 20.5], [0, 0.3, 2.4, 33], [0, 0, 0, 1]]
)


def scan(path, shape=(33, 40, 3)):
    values = np.random.default_rng(0).gamma(2, 50, shape).astype(np.float32)
    nibabel.Nifti1Image(values, OBLIQUE).to_filename(path)
    return path


def run_bundle(bundle, *options):
    command = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", str(bundle)]
    config = ["--config_file", str(bundle / "configs" / "inference.json")]
    result = subprocess.run([*command, *config, *options], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(
    not find_spec("fire"), reason="monai[fire], which runs bundles, is not installed"
)
def test_a_bundle_enlarges_a_nifti_file_as_iconet_does(tmp_path):
    bundle = export_model("mri-x2", tmp_path / "mri-x2", "monai-bundle")
    path = scan(tmp_path / "scan.nii.gz")
    run_bundle(bundle, "--input", str(path), "--output_dir", str(tmp_path), "--device", "cpu")
    written = nibabel.load(tmp_path / "scan_x2.nii.gz")
    expected = iconet.upscale(path, "mri-x2", plane="k", precision="fp32", backend="torch")
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-4)
    difference = np.abs(written.get_fdata() - expected.get_fdata())
    assert difference.max() < 1e-4 * np.ptp(expected.get_fdata())


def test_the_folder_is_a_bundle(tmp_path, network):
    bundle = export_model(network, tmp_path / "bundle", "monai-bundle")
    files = sorted(str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.is_file())
    assert files == [
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/model.ts",
        "scripts/__init__.py",
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
