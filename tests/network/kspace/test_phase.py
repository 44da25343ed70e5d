"""The slow phase: off and on again without a trace."""

import pytest
import torch

from iconet.network.kspace.phase import SlowPhase
from iconet.physics.kspace import resize_kspace
from iconet.physics.smooth_phase import smooth_phase


def channels(image: torch.Tensor) -> torch.Tensor:
    return torch.cat([image.real, image.imag], dim=1)


@pytest.mark.parametrize(("h", "w", "factor"), [(32, 32, 1), (31, 40, 2), (24, 33, 4)])
def test_restore_undoes_remove(h: int, w: int, factor: int) -> None:
    torch.manual_seed(h)
    phase = SlowPhase(torch.randn(2, 2, h, w))
    image = torch.randn(2, 2, factor * h, factor * w)
    torch.testing.assert_close(phase.restore(phase.remove(image)), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [1, 2])
def test_an_object_with_smooth_phase_becomes_nearly_real_and_positive(factor: int) -> None:
    side = 96 * factor
    grid = torch.linspace(-1, 1, side)
    brain = ((grid[:, None] ** 2 + grid[None] ** 2) < 0.7).float()[None, None]
    field = smooth_phase((1, 1, side, side), generator=torch.Generator().manual_seed(5))
    large = torch.polar(brain, field)
    low = resize_kspace(large, (96, 96))
    bare = SlowPhase(channels(low)).remove(channels(large))
    inside = brain[0, 0] > 0
    assert float(bare[0, 0][inside].mean()) > 0.98
    assert float(bare[0, 1][inside].square().mean().sqrt()) < 0.15


def test_a_zero_image_has_no_phase() -> None:
    image = torch.randn(1, 2, 16, 16)
    torch.testing.assert_close(SlowPhase(torch.zeros(1, 2, 16, 16)).remove(image), image)
