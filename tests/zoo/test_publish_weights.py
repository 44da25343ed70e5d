"""The tool that puts trained weights into the package."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from iconet import zoo
from iconet.errors import InputError

from ..load_tool import load_tool


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("publish_weights")


@pytest.fixture(autouse=True)
def old_catalogue(folder: Path) -> None:
    """Other models, and an older one of the same name."""
    old = [
        {"name": name, "scale": 4, "purpose": "p", "licence": "l", "sha256": "0"}
        for name in ("another", "small", "zebra")
    ]
    (folder / "catalogue.json").write_text(json.dumps(old), "utf-8")


def test_published_weights_are_half_as_large_and_load_by_name_in_float32(
    tool: ModuleType, path: Path, folder: Path, metadata: dict[str, str]
) -> None:
    stored = tool.publish(path, folder)
    assert stored == folder / "small.safetensors"
    trained, halves = load_file(path), load_file(stored)
    assert {tensor.dtype for tensor in halves.values()} == {torch.float16}
    loaded = zoo.load("small")
    assert loaded.metadata == metadata
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, trained[name].half().float())


def test_the_catalogue_is_updated_and_stays_sorted(
    tool: ModuleType, path: Path, folder: Path
) -> None:
    stored = tool.publish(path, folder)
    entries = zoo.catalogue()
    assert [entry.name for entry in entries] == ["another", "small", "zebra"]
    assert [entry.scale for entry in entries] == [4, 2, 4]
    assert entries[1].purpose == "tests, ü"
    assert entries[1].licence == "Apache-2.0"
    assert entries[1].sha256 == zoo.load(stored).sha256
    assert {item.name for item in folder.iterdir()} == {"catalogue.json", "small.safetensors"}


def test_a_first_entry_is_inserted_and_publishing_again_changes_nothing(
    tool: ModuleType, path: Path, folder: Path
) -> None:
    (folder / "catalogue.json").write_text("[]")
    tool.publish(path, folder)
    before = {item: item.read_bytes() for item in folder.iterdir()}
    tool.publish(path, folder)
    assert {item: item.read_bytes() for item in folder.iterdir()} == before


def test_weights_beyond_float16_are_refused_and_nothing_is_changed(
    tool: ModuleType, path: Path, folder: Path, metadata: dict[str, str]
) -> None:
    tensors = load_file(path)
    tensors["stages.0.head_sr.bias"][0] = 1e5
    save_file(tensors, path, metadata)
    before = (folder / "catalogue.json").read_text("utf-8")
    with pytest.raises(InputError, match="not numbers"):
        tool.publish(path, folder)
    assert (folder / "catalogue.json").read_text("utf-8") == before
    assert [item.name for item in folder.iterdir()] == ["catalogue.json"]


def test_what_is_no_trained_file_is_refused(tool: ModuleType, path: Path, folder: Path) -> None:
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="not a safetensors file"):
        tool.publish(path, folder)
    assert [item.name for item in folder.iterdir()] == ["catalogue.json"]
