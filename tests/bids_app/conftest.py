"""A folder with a dataset and the weights of a small network."""

import json
from pathlib import Path

import pytest

from ..study.studies import network, scan


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network("model.safetensors", seed=0)
    for number, name in enumerate(
        [
            "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
            "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
            "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
            "sub-02/ses-a/anat/sub-02_ses-a_FLAIR.nii.gz",
        ]
    ):
        scan(f"ds/{name}", seed=number)
    Path("ds/dataset_description.json").write_text(
        json.dumps({"Name": "A study", "BIDSVersion": "1.10.0"})
    )
    return tmp_path
