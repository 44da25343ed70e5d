"""Weights that are not what they say are refused before anything large is made."""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import iconet
from iconet import ICONet, zoo
from iconet.errors import InputError

Older = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]

LARGEST = 1 << 20  # parameters; the real network has 8 k


@pytest.fixture
def small_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No layer with real memory may be larger than a thousand times the file's largest."""
    init = nn.Conv2d.__init__

    def guarded(self: nn.Conv2d, *args: object, **options: object) -> None:
        if torch.get_default_device().type != "meta":
            with torch.device("meta"):
                probe = nn.Module.__new__(nn.Conv2d)
                init(probe, *args, **options)
            assert probe.weight.numel() < LARGEST, "memory for weights that are not in the file"
        init(self, *args, **options)

    monkeypatch.setattr(nn.Conv2d, "__init__", guarded)
    yield


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as error:
        zoo.load(path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value)


def rewrite(path: Path, metadata: dict[str, str], **config: object) -> Path:
    changed = json.dumps(json.loads(metadata["config"]) | config)
    save_file(load_file(path), path, metadata | {"config": changed})
    return path


@pytest.mark.parametrize("span", [3, 17])
def test_weights_from_before_the_settings_of_the_spatial_path_are_loaded(
    tmp_path: Path, metadata: dict[str, str], older_names: Older, span: int
) -> None:
    model = ICONet(4, channels=2, width=8, exchanges=2, rec_units=1, sr_units=1, span=span).eval()
    config = {n: v for n, v in asdict(model.config).items() if not n.startswith("spatial")}
    if span == 3:  # files from before there was a span leave it out too
        del config["span"]
    path = tmp_path / "old.safetensors"
    tensors = older_names(model.state_dict())
    save_file(tensors, path, metadata | {"config": json.dumps(config)})
    loaded = zoo.load(path)
    assert loaded.config == model.config
    lr = torch.rand(1, 2, 20, 17)
    assert torch.equal(loaded(lr).image, model(lr).image)


def test_a_file_gives_the_network_back(path: Path, model: ICONet, metadata: dict[str, str]) -> None:
    loaded = iconet.load(path)
    assert not loaded.training
    assert loaded.config == model.config
    assert loaded.metadata == metadata
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    lr = torch.rand(1, 1, 20, 17)
    with torch.inference_mode():
        assert torch.equal(loaded(lr).image, model(lr).image)
    assert isinstance(iconet.load(str(path)), ICONet)


def test_half_precision_files_are_computed_with_in_float32(
    path: Path, metadata: dict[str, str]
) -> None:
    halves = {name: tensor.half() for name, tensor in load_file(path).items()}
    save_file(halves, path, metadata)
    loaded = zoo.load(path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, halves[name].float())


def test_an_unknown_name_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [zoo.Entry(name, 2, "", "", "") for name in ("mri-x2", "other")]
    monkeypatch.setattr("iconet.zoo.loading.catalogue", lambda: entries)
    message = refusal("mri-x3")
    assert "mri-x2, other, or a .safetensors file" in message


@pytest.mark.parametrize("name", ["weights.pt", "weights.bin", "", "folder/mri-x2"])
def test_other_files_are_unknown_names(name: str) -> None:
    assert "no such model" in refusal(name)


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    assert "no such file of weights" in refusal(tmp_path / "nothing.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    assert "no such file of weights" in refusal(tmp_path / "folder.safetensors")


@pytest.mark.parametrize("kept", [0, 7, 8, 200, -1])
def test_a_cut_file_is_damaged(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"weight": [1.0] * 100}),
        os.urandom(4096),
        (2**60).to_bytes(8, "little") + b"{}",
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (99_999_999).to_bytes(8, "little") + b"{",
        (200_000).to_bytes(8, "little") + b'{"a":' * 40_000,
    ],
    ids=["pickle", "garbage", "2^60", "2^64", "list", "header beyond the end", "deep"],
)
def test_what_is_no_safetensors_file_is_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "damaged or not a safetensors file" in refusal(path)


def test_a_torch_file_with_the_suffix_is_refused_and_not_unpickled(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(path.with_name("sprung")),)

    torch.save(Trap(), path)
    assert "damaged or not a safetensors file" in refusal(path)
    assert not path.with_name("sprung").exists()


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"format": "iconet2"}])
def test_weights_of_another_program_are_said_to_be(
    path: Path, metadata: dict[str, str] | None
) -> None:
    save_file(load_file(path), path, metadata)
    assert "weights of another program" in refusal(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "huge.safetensors"
    size = 1 << 34  # a sparse file: 16 GB to read, nothing on the disk
    header = {"x": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    text = json.dumps({"__metadata__": metadata, **header}).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        try:
            file.truncate(8 + len(text) + size)
        except OSError:
            pytest.skip("this disk has no sparse files")
    assert "larger than any ICONet's weights" in refusal(path)


@pytest.mark.usefixtures("small_only")
@pytest.mark.parametrize(
    "config",
    [
        {"width": 10},
        {"width": 10**6},
        {"width": 10**30},
        {"width": -8},
        {"width": 0},
        {"width": 8.0},
        {"width": "8"},
        {"width": None},
        {"exchanges": 2},
        {"exchanges": 10**9},
        {"exchanges": 0},
        {"rec_units": 10**9},
        {"sr_units": 2},
        {"sr_units": True},
        {"scale": 3},
        {"scale": 4},
        {"scale": 2**40},
        {"scale": [2]},
        {"depth": 3},
        {"span": 4},
        {"span": "17"},
        {"spatial_first": 1},
    ],
    ids=str,
)
def test_a_configuration_that_the_weights_do_not_bear_out_is_refused(
    path: Path, metadata: dict[str, str], config: dict[str, object]
) -> None:
    assert "do not fit" in refusal(rewrite(path, metadata, **config))


@pytest.mark.parametrize("config", ["{", "[]", "5", "null", '"x"', "[" * 100_000, "{}", None])
def test_a_configuration_that_is_none_is_refused(
    path: Path, metadata: dict[str, str], config: str | None
) -> None:
    del metadata["config"]
    if config is not None:
        metadata["config"] = config
    save_file(load_file(path), path, metadata)
    assert "do not fit" in refusal(path)


@pytest.mark.parametrize("change", ["missing", "more", "renamed", "shape"])
def test_weights_that_the_configuration_does_not_bear_out_are_refused(
    path: Path, metadata: dict[str, str], change: str
) -> None:
    tensors = load_file(path)
    name = "stages.0.head_sr.weight"
    match change:
        case "missing":
            del tensors[name]
        case "more":
            tensors["more"] = torch.ones(3)
        case "renamed":
            tensors["other"] = tensors.pop(name)
        case "shape":
            tensors[name] = tensors[name][:4].clone()
    save_file(tensors, path, metadata)
    assert "do not fit" in refusal(path)


def test_a_name_that_safetensors_cannot_open_is_not_called_damaged(path: Path) -> None:
    renamed = path.rename(path.with_name(os.fsdecode(b"m\xe9.safetensors")))
    assert "no name that is not UTF-8; rename" in refusal(renamed)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(
    path: Path, metadata: dict[str, str], value: float
) -> None:
    tensors = load_file(path)
    tensors["stages.0.head_sr.bias"][3] = value
    save_file(tensors, path, metadata)
    assert "some weights are not numbers" in refusal(path)


@pytest.fixture
def shipped(path: Path, folder: Path) -> Path:
    """The file as a model of the package, entered in a catalogue."""
    stored = folder / "small.safetensors"
    stored.write_bytes(path.read_bytes())
    digest = hashlib.sha256(stored.read_bytes()).hexdigest()
    entry = {"name": "small", "scale": 2, "purpose": "ü", "licence": "x", "sha256": digest}
    (folder / "catalogue.json").write_text(json.dumps([entry]), "utf-8")
    return stored


def test_a_model_of_the_package_is_loaded_by_name(shipped: Path) -> None:
    assert zoo.load("small").sha256 == zoo.catalogue()[0].sha256


def test_one_changed_bit_in_a_model_of_the_package_is_noticed(shipped: Path) -> None:
    content = bytearray(shipped.read_bytes())
    content[-3] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(shipped))}: damaged.*SHA-256"):
        zoo.load("small")


def test_a_model_of_the_package_without_its_file_is_said(shipped: Path) -> None:
    shipped.unlink()
    with pytest.raises(InputError, match=f"^{re.escape(str(shipped))}: cannot be read"):
        zoo.load("small")
