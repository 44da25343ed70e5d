"""Training small enough for a test: a narrow network, few and tiny slices."""

import pytest
import torch

from iconet.data import Volume
from iconet.training.recipe import Recipe

from .small import make_recipe


@pytest.fixture(scope="session")
def volumes() -> list[Volume]:
    """Smooth blobs on a dark background, intensities around 0 to 1, in two data sets."""
    generator = torch.Generator().manual_seed(7)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 40), indexing="ij")
    found = []
    for name in ("a", "b"):
        phase = 6 * torch.rand(4, 1, 1, generator=generator)
        texture = 0.6 + 0.2 * torch.sin(14 * x + phase) + 0.2 * torch.cos(11 * y - phase)
        slices = texture * (x**2 + y**2 < 0.8)
        found.append(Volume(f"{name}/1/T1w", name, slices.half()))
    return found


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return make_recipe()
