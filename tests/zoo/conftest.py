"""A file of weights as training writes it, of a network narrow enough for a test."""

import importlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from iconet import ICONet
from iconet.training.checkpoint import write_safetensors


@pytest.fixture
def model() -> ICONet:
    torch.manual_seed(0)
    return ICONet(2, width=8, exchanges=1, rec_units=1, sr_units=1)


@pytest.fixture
def metadata(model: ICONet) -> dict[str, str]:
    return {
        "format": "iconet",
        "name": "small",
        "purpose": "tests, ü",
        "config": json.dumps(asdict(model.config)),
    }


@pytest.fixture
def path(model: ICONet, metadata: dict[str, str], tmp_path: Path) -> Path:
    path = tmp_path / "my weights ü.safetensors"
    write_safetensors(model.state_dict(), path, metadata)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the package's own."""
    folder = tmp_path / "zoo ü"
    folder.mkdir()
    # The package offers the function of the same name.
    monkeypatch.setattr(importlib.import_module("iconet.zoo.catalogue"), "FOLDER", folder)
    return folder
