"""What programs do that make images small, and the least change that undoes a difference."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iconet.physics.kspace import crop_kspace
from iconet.physics.point_spread import POINT_SPREADS, acquired_through, brought_back, misfits

PILLOW = {
    "block means": Image.Resampling.BOX,
    "cubic interpolation": Image.Resampling.BICUBIC,
    "linear interpolation": Image.Resampling.BILINEAR,
}


def image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", POINT_SPREADS)
@pytest.mark.parametrize("factor", [2, 4])
def test_each_is_what_an_independent_program_does(name: str, factor: int) -> None:
    given = image(12 * factor, 10 * factor)
    theirs = Image.fromarray(given.numpy()).resize((10, 12), PILLOW[name])
    assert np.abs(acquired_through(name, given, factor).numpy() - np.asarray(theirs)).max() < 1e-4


@given(
    st.sampled_from(list(POINT_SPREADS)),
    st.integers(5, 24),
    st.integers(5, 24),
    st.sampled_from([2, 4]),
)
def test_the_least_change_makes_an_image_agree(
    name: str, height: int, width: int, factor: int
) -> None:
    low, high = image(height, width), image(factor * height, factor * width, 1)
    change = brought_back(name, low - acquired_through(name, high, factor), factor)
    assert (acquired_through(name, high + change, factor) - low).abs().max() < 3e-3
    # Nothing that is lost on the way is added: what is brought back is seen from the coarse grid.
    lost = high - brought_back(name, acquired_through(name, high, factor), factor)
    assert abs(float((change * lost).sum())) < 2e-3 * float(change.norm() * lost.norm())


@pytest.mark.parametrize("name", POINT_SPREADS)
def test_constants_stay(name: str) -> None:
    assert (acquired_through(name, torch.full((32, 24), 3.0), 2) - 3).abs().max() < 1e-5


def test_the_true_way_misfits_least() -> None:
    smooth = torch.outer(torch.hann_window(64), torch.hann_window(80))
    truth = smooth * image(64, 80)
    for number, name in enumerate(POINT_SPREADS, start=1):
        found = misfits(acquired_through(name, truth, 2), truth)
        assert int(found.argmin()) == number
        assert found[number] < 1e-6
    found = misfits(crop_kspace(truth[None, None], 2)[0, 0], truth)
    assert int(found.argmin()) == 0
    assert found[0] < 1e-6
