"""The file beside weights: it comes back as it was, and only with its own weights."""

import pytest
import torch

from iconet import zoo
from iconet.errors import InputError
from iconet.network import IntervalHead
from iconet.network.trust import Familiar, Trust
from iconet.training.checkpoint import write_safetensors
from iconet.zoo.model import Model
from iconet.zoo.trust import trust_content, trust_file


def keep(path, sha256, width=8):
    torch.manual_seed(0)
    each = torch.rand(2, 4 * width)
    familiar = Familiar(*each, torch.rand(4 * width, 4 * width), 1.5)
    calibration = {"kspace-crop": {"coverage": 0.9}}
    trust = Trust(IntervalHead(width), familiar, {"noise": (0.0, 0.1)}, calibration)
    tensors, metadata = trust_content(trust, sha256)
    write_safetensors(tensors, trust_file(path), metadata)
    return trust


def test_weights_without_such_a_file_load_as_before(path):
    network = zoo.load(path)
    assert network.trust is None
    with pytest.raises(InputError, match="omit --uncertainty"):
        Model.of(network).running(True)


def test_what_was_kept_comes_back_with_the_weights(path):
    kept = keep(path, zoo.load(path).sha256)
    network = zoo.load(path)
    assert network.interval_head is None
    found = network.trust
    for name, tensor in kept.head.state_dict().items():
        torch.testing.assert_close(found.head.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)
    given = torch.rand(3, 32)
    torch.testing.assert_close(
        found.familiar.distance(given), kept.familiar.distance(given), rtol=1e-3, atol=1e-3
    )
    assert (found.familiar.furthest, found.ranges) == (1.5, {"noise": (0.0, 0.1)})
    assert found.calibration == {"kspace-crop": {"coverage": 0.9}}
    model = Model.of(network)
    assert model.running(False) is network
    assert model.running(True) is model.running(True)
    assert model.running(True).interval_head is found.head


def test_of_other_weights_it_is_not_taken(path):
    keep(path, "0" * 64)
    assert zoo.load(path).trust is None


def test_a_damaged_one_is_refused(path):
    keep(path, zoo.load(path).sha256)
    content = trust_file(path).read_bytes()
    trust_file(path).write_bytes(content[:-10])
    with pytest.raises(InputError, match="damaged"):
        zoo.load(path)


def test_one_of_another_version_is_refused(path):
    sha256 = zoo.load(path).sha256
    write_safetensors(
        {"other": torch.zeros(1)},
        trust_file(path),
        {"format": "iconet-trust", "weights": sha256, "measured": "{}"},
    )
    with pytest.raises(InputError, match=r"tools/publish_trust\.py"):
        zoo.load(path)
