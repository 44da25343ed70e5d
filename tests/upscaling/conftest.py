"""Stand-ins for the network whose answers are known, and what tests here share."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.fft import dctn, idctn
from torch import nn

from iconet.upscaling.models import Models
from iconet.zoo.model import Model


class Linear(nn.Module):
    """Has the fields of an ICONet that upscaling relies on, and counts what it is given."""

    halo, multiple = 8, 8
    metadata, sha256 = {}, None

    def __init__(self, scale=2):
        super().__init__()
        self.scale, self.channels, self.width = scale, 1, 64
        self.calls = []

    def forward(self, lr, intensity=None):
        assert min(lr.shape[-2:]) >= 16
        self.calls.append((tuple(lr.shape), intensity.flatten().tolist()))
        return SimpleNamespace(image=F.interpolate(lr, scale_factor=self.scale, mode="bilinear"))


class Wide(Linear):
    """Sees exactly `halo` pixels to each side and depends on the grid of `multiple` pixels."""

    def forward(self, lr, intensity=None):
        self.calls.append((tuple(lr.shape), intensity.flatten().tolist()))
        x = lr / intensity
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate")
        folded = F.interpolate(F.avg_pool2d(padded, 8), scale_factor=8)[..., :height, :width]
        kernel = torch.linspace(-1, 1, 15 * 15).reshape(1, 1, 15, 15)
        x = x + torch.tanh(F.conv2d(x * folded, kernel, padding=7))
        return SimpleNamespace(image=F.interpolate(x * intensity, scale_factor=self.scale))


class Near(Linear):
    """Sees exactly 4 pixels to each side, alike on any grid."""

    def forward(self, lr, intensity=None):
        self.calls.append((tuple(lr.shape), intensity.flatten().tolist()))
        kernel = torch.linspace(-1, 1, 9 * 9).reshape(1, 1, 9, 9)
        x = lr + torch.tanh(F.conv2d(lr, kernel, padding=4))
        return SimpleNamespace(image=F.interpolate(x, scale_factor=self.scale))


@pytest.fixture
def near():
    return Near()


@pytest.fixture
def linear():
    return Linear()


@pytest.fixture
def wide():
    return Wide()


class Cosines(Linear):
    """Band-limited interpolation: exact on cosines whose even continuation is smooth."""

    multiple = 4096  # it needs the whole slice: none of it is cut off as air

    def forward(self, lr, intensity=None):
        self.calls.append((tuple(lr.shape), intensity.flatten().tolist()))
        height, width = lr.shape[-2:]
        spectrum = np.zeros((*lr.shape[:2], self.scale * height, self.scale * width))
        spectrum[..., :height, :width] = dctn(lr.double().numpy(), axes=(2, 3), norm="ortho")
        image = idctn(spectrum, axes=(2, 3), norm="ortho") * self.scale
        return SimpleNamespace(image=torch.from_numpy(image).float())


@pytest.fixture
def cosines():
    return Cosines()


def half_waves(voxels, shape):
    """A closed form that any grid over the same field of view holds, and no law changes.

    Half a wave along each axis, so it rises or falls from end to end and is 0 in one corner.

    Args:
        voxels: (D, ...) positions in voxels of a grid.
        shape: of that grid.
    """
    falls = (1, -1, 1)
    waves = [
        1 + sign * np.cos(np.pi * (position + 0.5) / size)
        for sign, position, size in zip(falls, voxels, shape, strict=True)
    ]
    return np.prod(waves, axis=0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def package(factor=2):
    """The package's models, of which the first is loaded."""
    return Models(Model.of(Linear(factor)), only=False)
