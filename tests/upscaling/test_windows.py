"""How slices are cut, and how many windows go through the network together."""

import numpy as np
import pytest

from iconet.errors import InputError
from iconet.runtime.device import choose_compute
from iconet.upscaling import windows as cutting
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.windows import count_windows, plan_windows, tiles

from .conftest import noise

CPU = choose_compute("cpu", "fp32")


@pytest.mark.parametrize("size", [(64, 80), (61, 83), (130, 47)])
@pytest.mark.parametrize("tile", [8, 24, 30, 100])
def test_tiles_leave_no_seam(wide, size, tile):
    stack = noise(2, *size)
    whole = predict_stack(wide, stack, compute=CPU)
    tiled = predict_stack(wide, stack, compute=CPU, tile=tile)
    assert np.abs(whole - stack.repeat(2, 1).repeat(2, 2)).max() > 1  # the network does something
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * np.ptp(whole))
    assert max(max(shape[-2:]) for shape, _ in wide.calls[1:]) <= -(-tile // 8) * 8 + 2 * wide.halo


def test_tiles_need_their_halo(wide):
    """The stand-in really looks across tile borders, so the test above can fail."""
    stack = noise(1, 64, 64)
    whole = predict_stack(wide, stack, compute=CPU)
    wide.halo = 0
    tiled = predict_stack(wide, stack, compute=CPU, tile=32)
    assert np.abs(tiled - whole).max() > 1e-2 * np.ptp(whole)


def test_slices_are_tiled_unasked_where_the_network_would_need_too_much(linear, monkeypatch):
    monkeypatch.setattr(cutting, "WORKING_SET", 100 * 100 * 72 * 64)
    predict_stack(linear, noise(1, 90, 110), compute=CPU)
    assert len(linear.calls) == 1
    predict_stack(linear, noise(1, 20, 700), compute=CPU)
    windows = [shape for shape, _ in linear.calls[1:]]
    assert len(windows) == -(-700 // 88)
    assert all(np.prod(shape) <= 100 * 104 for shape in windows)


@pytest.mark.usefixtures("three_threads")
def test_memory_bounds_what_is_at_work_at_the_same_time(linear):
    def plan(side):
        return plan_windows(linear, side, side, device="cpu")

    assert plan(256).workers == 3 and plan(256).memory == 3 * plan_memory(256)
    assert plan(900).workers == 1 and plan(900).memory <= cutting.WORKING_SET


def plan_memory(side):
    return 72 * 64 * side * side


@pytest.mark.parametrize("option", [{"tile": 0}, {"batch": -1}])
def test_refuses_sizes_below_one(linear, option):
    with pytest.raises(InputError, match="at least 1"):
        predict_stack(linear, noise(1, 16, 16), compute=CPU, **option)


@pytest.mark.parametrize(
    ("shape", "tile", "expected"),
    [((5, 64, 80), None, 5), ((5, 64, 80), 32, 5 * 2 * 3), ((3, 20, 20), 30, 3)],
)
def test_slices_and_tiles_are_counted(linear, shape, tile, expected):
    assert count_windows(linear, shape, device="cpu", tile=tile) == expected


def test_windows_keep_every_pixel_once_and_begin_on_the_grid(linear):
    written = np.zeros((2 * 61, 2 * 83), int)
    for read, keep, write in tiles((slice(0, 61), slice(0, 83)), 24, linear):
        assert all(part.start % linear.multiple == 0 for part in read)
        assert all(part.stop - part.start >= 16 for part in read)
        for source, kept, target in zip(read, keep, write, strict=True):
            assert source.start * 2 + kept.start == target.start
            assert kept.stop - kept.start == target.stop - target.start
        written[write] += 1
    assert (written == 1).all()


def test_a_batch_is_bounded_by_pixels_unless_it_is_given(linear):
    assert plan_windows(linear, 128, 128, device="cpu").batch == 4
    assert plan_windows(linear, 128, 128, device="mps").batch == 4 * 8
    assert plan_windows(linear, 128, 128, device="cuda").batch == 52  # of 64, in WORKING_SET
    assert plan_windows(linear, 900, 900, device="cpu").batch == 1
    assert plan_windows(linear, 128, 128, device="cuda", batch=3).batch == 3
    assert plan_windows(linear, 128, 128, device="cuda").workers == 3
