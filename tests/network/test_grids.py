"""Padding to coarser grids, back to pixels, and how far all of it sees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.network.grids import MULTIPLE, enlarge_to_cells, to_half_grid, to_pixels, whole_cells

from .small import tiny


@given(st.integers(16, 40), st.integers(16, 40))
def test_to_the_half_grid_and_back_changes_nothing(height: int, width: int) -> None:
    image = torch.rand(2, 3, height, width)
    half = to_half_grid(image)
    assert half.shape[1] == 12
    assert torch.equal(to_pixels(half, like=image), image)
    assert [2 * side for side in half.shape[-2:]] == list(whole_cells(image).shape[-2:])
    assert all(side % MULTIPLE == 0 for side in whole_cells(image).shape[-2:])


@given(st.integers(16, 40), st.integers(16, 40))
def test_features_of_a_stage_fit_the_next_image(height: int, width: int) -> None:
    image = torch.rand(1, 1, height, width)
    larger = torch.rand(1, 1, 2 * height, 2 * width)
    handed = enlarge_to_cells(whole_cells(image), like=larger)
    assert handed.shape == whole_cells(larger).shape


@pytest.mark.parametrize(
    ("scale", "settings"), [(2, {}), (4, {}), (2, {"span": 9}), (4, {"spatial_first": True})]
)
def test_nothing_beyond_the_halo_matters_and_something_within_does(
    scale: int, settings: dict[str, int]
) -> None:
    model = tiny(scale, **settings)
    side = 2 * model.halo + 16
    lr = torch.rand(1, 1, side, side, dtype=torch.float32)
    far, near = lr.clone(), lr.clone()
    keep = slice(model.halo, model.halo + 16)
    corner = slice(keep.start * scale, keep.stop * scale)
    lr, far, near = (torch.nn.functional.pad(x, (16, 16, 16, 16)) for x in (lr, far, near))
    far[..., :16] += 1
    near[..., 16 + model.halo // 2] += 1
    inner = slice(corner.start + 16 * scale, corner.stop + 16 * scale)
    one = torch.ones(1, 1, 1, 1)
    with torch.inference_mode():
        a, b, c = (model(x, one).image[..., inner, inner] for x in (lr, far, near))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
