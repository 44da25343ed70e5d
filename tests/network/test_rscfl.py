"""What the spatial path of a block sees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from iconet.network import ICONet
from iconet.network.grids import FOLD
from iconet.network.rscfl import RSCFL, LocalUnit


def block(span: int, spatial_first: bool = False) -> RSCFL:
    torch.manual_seed(0)
    made = RSCFL(8, 1, span, spatial_first=spatial_first).eval()
    nn.init.normal_(made.spatial.merge.weight)
    return made


@given(st.sampled_from([3, 5, 17]), st.integers(0, 39))
def test_it_spans_rows_and_only_the_nearest_cells_of_columns(span: int, cell: int) -> None:
    made = block(span)
    x = torch.rand(1, 8, 40 * FOLD, 40 * FOLD)
    changed = x.clone()
    changed[..., cell * FOLD : (cell + 1) * FOLD, cell * FOLD : (cell + 1) * FOLD] += 1
    with torch.inference_mode():
        told = (made.spatial(changed) - made.spatial(x)).abs().amax((0, 1)) > 1e-6
    rows, columns = (told.any(axis).nonzero().flatten() // FOLD for axis in (1, 0))
    # One cell more to each side: cells are enlarged by linear interpolation.
    for seen, reach in ((rows, 1), (columns, span // 2)):
        assert seen.min() == max(0, cell - reach - 1)
        assert seen.max() == min(39, cell + reach + 1)


def test_the_order_of_the_paths_is_a_setting() -> None:
    x = torch.rand(1, 8, 16, 16)
    with torch.inference_mode():
        near, far = block(3), block(5, spatial_first=True)
        after = near.channel(x)
        assert torch.equal(near(x), after + near.spatial(after))
        assert torch.equal(far(x), far.channel(x + far.spatial(x)))


def test_paths_are_side_by_side_where_the_channel_path_is_told_of_the_image() -> None:
    made, x = RSCFL(8, 2, 3, described=4), torch.rand(2, 8, 16, 16)
    for path in (made.spatial.merge, *(unit.weigh for unit in made.channel)):
        nn.init.normal_(path.weight)
    told = torch.rand(2, 4)
    with torch.inference_mode():
        assert torch.equal(made(x, told), made.channel(x, told) + made.spatial(x))
        assert not torch.allclose(made(x, told), made(x, told.flip(0)))
        # What one image is told changes nothing in another.
        torch.testing.assert_close(made(x, told)[:1], made(x[:1], told[:1]))


def test_it_starts_without_content() -> None:
    made, x = RSCFL(8, 2, 17), torch.rand(1, 8, 16, 16)
    with torch.inference_mode():
        assert torch.equal(made(x), made.channel(x))
    assert all(isinstance(unit, LocalUnit) for unit in made.channel)


@pytest.mark.parametrize(
    ("scale", "channels", "kernels"),
    [
        (2, 1, [(3, 3)]),
        (4, 1, [(3, 3), (3, 3)]),
        (2, 2, [(3, 17)]),
        (8, 2, [(3, 17), None, None]),
    ],
)
def test_the_first_stage_of_complex_images_looks_along_the_phase_encoding_direction(
    scale: int, channels: int, kernels: list[tuple[int, int] | None]
) -> None:
    network = ICONet(scale, channels=channels, width=8)
    for stage, kernel in zip(network.stages, kernels, strict=True):
        blocks = [module for module in stage.modules() if isinstance(module, RSCFL)]
        assert blocks
        for made in blocks:
            assert (made.spatial and made.spatial.relate.kernel_size) == kernel


def test_a_block_without_the_spatial_path_has_nothing_of_it() -> None:
    made, x = RSCFL(8, 2, None), torch.rand(1, 8, 16, 16)
    assert {name.split(".")[0] for name, _ in made.named_parameters()} == {"channel"}
    with torch.inference_mode():
        assert torch.equal(made(x), made.channel(x))
