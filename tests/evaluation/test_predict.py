"""Networks get what a user's scan would give them, slice by slice or together."""

import numpy as np
import pytest
import torch
from torch import nn

from iconet.evaluation.lowering import lower
from iconet.evaluation.predict import predict
from iconet.intensity import robust_scale
from iconet.network import SIZES, ICONet, ICONetOutput
from iconet.runtime.device import choose_compute
from iconet.upscaling.windows import BATCH_PIXELS

from .conftest import blobs

FP32 = choose_compute("cpu", "fp32")


class Repeat(nn.Module):
    """Repeats pixels, and notes what it is given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, lr, intensity, samples):
        self.seen.append((lr, intensity, samples))
        bigger = lr.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return ICONetOutput(bigger, [])


def test_a_network_answers_alone_without_what_upscaling_does_to_its_answer():
    low = lower(blobs((2, 64, 64)), "kspace-crop", 2)
    torch.manual_seed(0)
    model = ICONet(2, **SIZES["tiny"]).eval()
    scale = torch.full((2, 1, 1, 1), robust_scale(low.magnitude.numpy()))
    with torch.no_grad():
        expected = model(low.magnitude, scale).image[:, 0].numpy()
    found = predict(model, low, known_samples=False, compute=FP32)
    assert np.allclose(found, expected, atol=1e-3 * expected.max())


def test_known_samples_come_with_the_complex_image_and_the_magnitude_goes_out(monkeypatch):
    monkeypatch.setitem(BATCH_PIXELS, "cpu", 2 * 32 * 32)
    low = lower(blobs((3, 64, 64)), "joint", 2, name="a")
    network = Repeat()
    found = predict(network, low, known_samples=True, compute=FP32)
    assert [len(seen[0]) for seen in network.seen] == [2, 1]
    for start, (images, intensity, samples) in zip((0, 2), network.seen, strict=True):
        chosen = slice(start, start + 2)
        assert torch.equal(images, low.parts[chosen])
        assert torch.equal(samples.kspace, low.samples.kspace[chosen])
        assert torch.equal(samples.mask, low.samples.mask[chosen])
        assert intensity.flatten()[0] == pytest.approx(robust_scale(low.magnitude.numpy()))
    expected = np.kron(low.magnitude[:, 0].numpy(), np.ones((1, 2, 2)))
    assert np.allclose(found, expected, rtol=1e-5)

    network = Repeat()
    predict(network, low, known_samples=False, compute=FP32)
    assert network.seen[0][2] is None
    assert torch.equal(network.seen[0][0], low.magnitude[:2])
