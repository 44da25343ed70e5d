"""A folder for a study, weights for DICOM, and the network with a known answer."""

import json
from dataclasses import asdict

import pytest

import iconet

from ..upscaling.conftest import linear
from .studies import PURPOSE, network

__all__ = ["linear"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, in which the weights of a small network are."""
    monkeypatch.chdir(tmp_path)
    network("model.safetensors", seed=0)
    return tmp_path


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """An untrained network that says it is for MRI."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = iconet.ICONet(2, width=16, exchanges=1, rec_units=1, sr_units=1)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    metadata = {"format": "iconet", "config": json.dumps(asdict(network.config)), "name": "small"}
    save_file(network.state_dict(), path, {**metadata, "purpose": PURPOSE})
    return str(path)
