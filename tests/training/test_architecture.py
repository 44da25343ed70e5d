"""Whatever is trained is built from its recipe and loaded from its file."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import iconet
from iconet import peers
from iconet.data import Volume
from iconet.errors import InputError
from iconet.network import SIZES, ICONetConfig, Samples
from iconet.training import fit
from iconet.training.architecture import architecture_metadata, build, load_trained
from iconet.training.checkpoint import write_safetensors
from iconet.training.recipe import Network, Recipe

from .small import NARROW, make_recipe


def changed(**sections: object) -> Recipe:
    content = make_recipe(steps=2).model_dump()
    return Recipe.model_validate(content | sections)


JOINT = {"kind": "joint", "acceleration": (2, 3), "centre_fraction": 0.2}


def test_a_size_gives_the_network_of_that_size_and_options_replace_parts() -> None:
    expected = iconet.ICONet(4, channels=2, **SIZES["tiny"])
    found = build(Network(size="tiny"), 4, 2)
    assert isinstance(found, iconet.ICONet)
    assert found.config == expected.config
    narrower = build(Network(size="tiny", options={"width": 8}), 4)
    assert isinstance(narrower, iconet.ICONet)
    assert narrower.config == ICONetConfig.default(4, **(SIZES["tiny"] | {"width": 8}))
    near = build(Network(size="tiny", options={"span": 3}), 4, 2)
    assert near.config == replace(
        expected.config, span=3, spatial_first=False, spatial_in_later_stages=True
    )


def test_options_that_make_no_network_are_said() -> None:
    with pytest.raises(InputError, match=r"^network.options \{'width': -8\}: ") as error:
        build(Network(options={"width": -8}), 2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("known", [False, True], ids=["magnitudes", "known-samples"])
@pytest.mark.parametrize("architecture", ["iconet", "edsr-baseline"])
def test_every_task_trains_and_comes_back_from_its_file(
    architecture: str,
    known: bool,
    volumes: list[Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers, "EDSR", functools.partial(peers.EDSR, blocks=1, width=16))
    network = {"architecture": architecture}
    if architecture == "iconet":
        network = {"size": "tiny", "options": NARROW}
    recipe = changed(network=network, task=JOINT | {"known_samples": known})
    path = fit(recipe, volumes, volumes, output=tmp_path, device="cpu")

    model = load_trained(path)
    assert not model.training
    tensors = load_file(path)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())
    assert model.metadata["architecture"] == architecture
    assert len(model.sha256) == 64
    low = torch.rand(1, 2 if known else 1, 16, 20)
    samples = None
    if known:
        mask = torch.ones(1, 1, 1, 20, dtype=torch.bool)
        samples = Samples(torch.fft.fft2(torch.complex(low[:, :1], low[:, 1:])), mask)
    with torch.inference_mode():
        assert model(low, samples=samples).image.shape == (1, low.shape[1], 32, 40)
    assert torch.isfinite(torch.tensor(json.loads(model.metadata["validation"])["mean"]))


@pytest.fixture
def peer_file(tmp_path: Path) -> Path:
    recipe = changed(network={"architecture": "edsr-baseline"})
    model = build(recipe.network, recipe.scale)
    path = tmp_path / "peer ü.safetensors"
    write_safetensors(
        model.state_dict(), path, {"format": "iconet", **architecture_metadata(recipe)}
    )
    return path


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as error:
        load_trained(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_peer_is_no_model_to_upscale_with(peer_file: Path) -> None:
    with pytest.raises(InputError, match="for comparison only"):
        iconet.load(peer_file)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "resnet"}, "do not fit"),
        ({"architecture": "rcan"}, "do not fit"),
        ({"config": "{"}, "do not fit"),
        ({"config": '{"scale": 2}'}, "do not fit"),
        ({"config": '{"scale": 4, "channels": 1}'}, "do not fit"),
        ({"config": '{"scale": 1000000, "channels": 1}'}, "do not fit"),
        ({"architecture": "iconet"}, "do not fit"),
        ({"format": "pt"}, "another program"),
    ],
    ids=str,
)
def test_files_that_do_not_hold_what_they_say_are_refused(
    peer_file: Path, change: dict[str, str], reason: str
) -> None:
    recipe = changed(network={"architecture": "edsr-baseline"})
    metadata = {"format": "iconet", **architecture_metadata(recipe), **change}
    save_file(load_file(peer_file), peer_file, metadata)
    assert reason in refusal(peer_file)


def test_missing_files_and_unknown_names_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nothing.safetensors")
    assert "no such model" in refusal("mri-x3")


def test_a_missing_library_is_said_and_not_taken_for_damage(
    peer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise InputError("pip install 'iconet[peers]'")

    monkeypatch.setattr(peers, "build", missing)
    with pytest.raises(InputError, match="pip install"):
        load_trained(peer_file)
