"""Converted networks are read back, and only where they are what would be converted now."""

import os
import stat

import numpy as np
import pytest
import torch

import iconet
from iconet.runtime import runtimes

pytestmark = pytest.mark.skipif(not runtimes.installed("openvino"), reason="openvino is missing")

if runtimes.installed("openvino"):
    from iconet.runtime import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "iconet" / "openvino"


@pytest.fixture(scope="module")
def converted():
    """By its weights what a network was converted to, which takes a second."""
    return {}


@pytest.fixture(autouse=True)
def conversions(monkeypatch, converted):
    """The networks that were converted; the same weights really only once."""
    made = []

    def counted(network):
        made.append(network)
        weights = b"".join(weight.numpy().tobytes() for weight in network.state_dict().values())
        if weights not in converted:
            converted[weights] = runtimes.openvino_model(network)
        return converted[weights].clone()

    monkeypatch.setattr(cache, "openvino_model", counted)
    return made


def small(seed=0):
    torch.manual_seed(seed)
    return iconet.ICONet(2, width=8, exchanges=1, rec_units=1, sr_units=1).eval()


def result(model):
    run = runtimes.run_openvino(model, precision="fp32", threads=1)
    generator = torch.Generator().manual_seed(3)
    image = 100 * torch.rand(1, 1, 19, 26, generator=generator)
    return run(image, torch.full((1, 1, 1, 1), 80.0)).image.numpy()


def test_converted_once_and_the_same(conversions):
    first, second = cache.cached_openvino_model(small()), cache.cached_openvino_model(small())
    assert len(conversions) == 1
    np.testing.assert_allclose(result(first), result(second), atol=1e-3)
    image = 100 * torch.rand(1, 1, 19, 26, generator=torch.Generator().manual_seed(3))
    expected = small()(image, torch.full((1, 1, 1, 1), 80.0)).image.detach().numpy()
    np.testing.assert_allclose(result(second), expected, atol=1e-2)


def test_other_weights_are_another_network(conversions):
    one, other = small(0), small(0)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    cache.cached_openvino_model(one)
    cache.cached_openvino_model(other)
    assert len(conversions) == 2


def test_other_sources_are_another_network(conversions, monkeypatch, tmp_path):
    cache.cached_openvino_model(small())
    changed = tmp_path / "plain.py"
    changed.write_text("# the exported network computes something else now\n")
    monkeypatch.setattr(cache, "_own_sources", lambda: (changed,))
    cache.cached_openvino_model(small())
    assert len(conversions) == 2


@pytest.mark.parametrize("name", ["network.xml", "network.bin"])
def test_what_is_damaged_is_converted_again(conversions, folder, name):
    expected = result(cache.cached_openvino_model(small()))
    (entry,) = folder.iterdir()
    (entry / name).write_bytes((entry / name).read_bytes()[:100])
    np.testing.assert_allclose(result(cache.cached_openvino_model(small())), expected, atol=1e-3)
    assert len(conversions) == 2
    cache.cached_openvino_model(small())
    assert len(conversions) == 2  # mended


def test_a_place_that_cannot_be_written_costs_nothing_but_time(conversions, folder, monkeypatch):
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    assert result(cache.cached_openvino_model(small())).shape == (1, 1, 38, 52)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(cache.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    cache.cached_openvino_model(small())
    assert len(conversions) == 2


def test_a_full_disk_leaves_nothing(conversions, folder, monkeypatch):
    import openvino

    save = openvino.save_model

    def truncated(model, path, **options):  # what openvino does, without a word
        save(model, path, **options)
        os.truncate(path.with_suffix(".bin"), 100)

    monkeypatch.setattr(openvino, "save_model", truncated)
    cache.cached_openvino_model(small())
    assert list(folder.iterdir()) == []


def test_those_used_last_stay(folder, monkeypatch):
    monkeypatch.setattr(cache, "LARGEST_CACHE", 2)
    cache.cached_openvino_model(small(0))
    (first,) = folder.iterdir()
    os.utime(first, (1, 1))
    cache.cached_openvino_model(small(1))
    (second,) = set(folder.iterdir()) - {first}
    os.utime(second, (2, 2))
    cache.cached_openvino_model(small(0))
    cache.cached_openvino_model(small(2))
    assert first in set(folder.iterdir()) and second not in set(folder.iterdir())
    assert len(list(folder.iterdir())) == 2


def test_it_is_for_its_owner_to_read(folder):
    cache.cached_openvino_model(small())
    (entry,) = folder.iterdir()
    assert not stat.S_IMODE(entry.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
