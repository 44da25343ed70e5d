"""Simulated receiver arrays: the physics of loops, and what training relies on."""

import math

import pytest
import torch

from iconet.physics.coil_array import _GRID, _fields, coil_array


@pytest.mark.parametrize("coils", [1, 2, 5, 16])
def test_squares_sum_to_one_and_sensitivities_are_smooth(coils: int) -> None:
    maps = coil_array(coils, (40, 56), torch.Generator().manual_seed(0))
    assert maps.shape == (coils, 40, 56) and maps.dtype == torch.complex64
    torch.testing.assert_close(maps.abs().square().sum(dim=0), torch.ones(40, 56))
    assert maps.diff(dim=2).abs().max() < 0.35


def test_the_same_seed_gives_the_same_array_and_another_another() -> None:
    one, same, other = (
        coil_array(4, (16, 16), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_the_field_on_the_axis_of_a_loop_is_that_of_the_law() -> None:
    """2 pi a^2 / (a^2 + d^2)^(3/2), here 16 straight pieces instead of a circle."""
    radius, loop = 1.5, 0.5
    field = _fields(torch.zeros(1), radius, loop)[0]
    places = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
    middle = field[_GRID // 2 - 1 : _GRID // 2 + 1].mean(dim=0)  # y = 0
    expected = 2 * math.pi * loop**2 / (loop**2 + (radius - places) ** 2) ** 1.5
    torch.testing.assert_close(middle.real.abs(), expected, rtol=0.05, atol=0)
