"""From a recipe on disk and a folder of scans to a file of weights."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from safetensors import safe_open

from iconet.training import train

from .small import make_recipe


def test_train_reads_scans_and_leaves_damaged_ones_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "scans with space and ü"
    root.mkdir()
    y, x = np.mgrid[:40, :40]
    disc = 100 * ((x - 20) ** 2 + (y - 20) ** 2 < 300) * (1 + 0.3 * np.sin(x))
    scan = nib.Nifti1Image(np.repeat(disc[..., None], 4, 2).astype(np.float32), np.eye(4))
    nib.save(scan, root / "good.nii.gz")
    (root / "damaged.nii.gz").write_bytes((root / "good.nii.gz").read_bytes()[:200])
    (root / "splits.csv").write_text(
        "dataset,subject,split,path,contrast,sharp_plane\n"
        "d,1,train,good.nii.gz,T1w,axial\n"
        "d,2,train,damaged.nii.gz,T1w,axial\n"
        "d,3,validation,good.nii.gz,T1w,axial\n"
    )
    path = tmp_path / "my rezept ü.yaml"
    content = make_recipe(steps=1).model_dump(mode="json")
    content["data"]["root"] = str(root)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")

    output = tmp_path / "out"
    weights = train(path, ["optimisation.steps=2"], output=output, max_time="1h", device="cpu")
    with safe_open(weights, framework="pt") as file:
        assert file.metadata()["trained_steps"] == "2"
    said = capsys.readouterr().out
    left_out = [line for line in said.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 1
    assert "damaged.nii.gz" in left_out[0]
    assert "train: 1 scans, 1 left out" in said
    assert "validation: 1 scans, 0 left out" in said
