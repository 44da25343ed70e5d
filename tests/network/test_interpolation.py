"""The fixed interpolation inside a stage: half a pixel here would be wrong for every user."""

import pytest
import torch

from iconet.network.interpolation import SincInterpolation
from iconet.physics.kspace import zero_fill

INSIDE = slice(16, -16)


def interpolate(image: torch.Tensor) -> torch.Tensor:
    return SincInterpolation()(image[None, None])[0, 0]


def test_constant_keeps_its_value() -> None:
    torch.testing.assert_close(interpolate(torch.full((20, 24), 3.5)), torch.full((40, 48), 3.5))


@pytest.mark.parametrize("axis", [0, 1])
def test_ramp_stays_where_it_was(axis: int) -> None:
    ramp = torch.arange(40.0).expand(40, 40)
    fine = ((torch.arange(80.0) + 0.5) / 2 - 0.5).expand(80, 80)
    ramp, fine = (ramp, fine) if axis == 1 else (ramp.T, fine.T)
    got = interpolate(ramp.contiguous())[INSIDE, INSIDE]
    torch.testing.assert_close(got, fine[INSIDE, INSIDE], rtol=0, atol=4e-3)


def test_is_the_local_form_of_zero_filling() -> None:
    x = torch.arange(64.0)
    wave = torch.cos(0.2 * torch.pi * (x[:, None] + 0.7 * x[None]) + 0.4)
    # Far from the borders, where the wave is not periodic, both give the same.
    middle = slice(48, -48)
    window = torch.exp(-(((x[:, None] - 32) ** 2 + (x[None] - 32) ** 2) / 200))
    torch.testing.assert_close(
        interpolate(wave * window)[middle, middle],
        zero_fill((wave * window)[None, None], 2)[0, 0][middle, middle],
        rtol=0,
        atol=5e-3,
    )
