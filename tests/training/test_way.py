"""What tells how a scan lost its resolution learns it from the answers of a network."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from iconet.data import Volume
from iconet.network import ICONet
from iconet.network.description import CROP, OTHER, WAYS
from iconet.physics.degradation import DegradationMix
from iconet.training import way as fitting
from iconet.training.checkpoint import write_safetensors
from iconet.training.way import fit_way, fit_way_of
from iconet.zoo.loading import load, read_weights

WIDE = DegradationMix(
    kspace=0.4,
    windowed=0.1,
    blurred=0.1,
    averaged=0.2,
    resampled=0.2,
    interpolated=0.1,
    noise_probability=0.0,
)


@pytest.fixture
def volumes() -> list[Volume]:
    """Discs of many sizes in noise that is sharp."""
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(72.0), indexing="ij")
    found = []
    for number in range(6):
        slices = torch.zeros(4, 80, 72)
        for image in slices:
            for _ in range(12):
                top, left, radius, value = torch.rand(4, generator=generator).tolist()
                inside = (y - 15 - 50 * top) ** 2 + (x - 15 - 42 * left) ** 2
                image[inside < (3 + 12 * radius) ** 2] = value
        found.append(Volume(f"set/{number}/T1w", "set", slices.half()))
    return found


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> ICONet:
    monkeypatch.setattr(fitting, "SLICES", 100)
    monkeypatch.setattr(fitting, "STEPS", 200)
    torch.manual_seed(0)
    return ICONet(width=8, exchanges=1, rec_units=1, sr_units=1, described=4).eval()


def test_the_way_is_told_far_more_often_than_by_chance(
    network: ICONet, volumes: list[Volume]
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert network.way is not None and not network.way.is_fitted
    told = fit_way(network, volumes, WIDE, seed=1)
    assert network.way.is_fitted
    assert told > 0.6  # of five ways, of which one has 40 %
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("way.")}
    assert not any(one.requires_grad for one in network.way.parameters())


def test_the_same_seed_fits_the_same(network: ICONet, volumes: list[Volume]) -> None:
    found = []
    for seed in (1, 1, 2):
        fit_way(network, volumes, WIDE, seed=seed)
        found.append(network.way.scores.weight.clone())  # type: ignore[union-attr]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_file_is_fitted_once_and_keeps_what_it_says_of_itself(
    network: ICONet, volumes: list[Volume], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.safetensors"
    metadata = {"format": "iconet", "config": json.dumps(asdict(network.config)), "name": "net"}
    write_safetensors(network.state_dict(), path, metadata)
    fit_way_of(path, volumes, WIDE, seed=1)
    assert "% of slices" in capsys.readouterr().out
    fitted = path.read_bytes()
    fit_way_of(path, volumes, WIDE, seed=2)
    assert path.read_bytes() == fitted
    found, _ = read_weights(path)
    assert metadata.items() <= found.items()
    assert load(path).way.is_fitted  # type: ignore[union-attr]


def test_crops_alone_are_told_as_crops(network: ICONet, volumes: list[Volume]) -> None:
    alone = DegradationMix(kspace=1, windowed=0, blurred=0, averaged=0)
    assert fit_way(network, volumes, alone, seed=1) == 1
    assert WAYS[0] == CROP and WAYS[-1] == OTHER
