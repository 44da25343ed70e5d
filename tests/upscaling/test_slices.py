import threading

import numpy as np
import pytest
import torch

from iconet.runtime.device import choose_compute
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.windows import BATCH_PIXELS

from .conftest import noise

CPU = choose_compute("cpu", "fp32")


def test_batches_are_bounded_by_pixels_and_keep_the_order(linear):
    stack = noise(11, 128, 100)
    out = predict_stack(linear, stack, compute=CPU)
    assert sorted(shape[0] for shape, _ in linear.calls) == [1, 5, 5]
    assert all(np.prod(shape) <= BATCH_PIXELS["cpu"] for shape, _ in linear.calls)
    alone = predict_stack(linear, stack[7:8], compute=CPU)
    np.testing.assert_allclose(out[7:8], alone, rtol=1e-6)


@pytest.mark.parametrize("faithful", [False, True])
def test_every_slice_has_an_intensity_scale_of_its_own_and_its_tiles_share_it(wide, faithful):
    """A network that is far from linear gives all of them the same detail."""
    image, gains = noise(1, 40, 40), np.array([1, 5, 0.01], np.float32)[:, None, None]
    shifts = np.array([0, -300, 2], np.float32)[:, None, None]
    for tile in (None, 16):
        options = {"compute": CPU, "faithful": faithful, "tile": tile}
        together = predict_stack(wide, image * gains + shifts, **options)
        alone = predict_stack(wide, image, **options)
        np.testing.assert_allclose((together - shifts) / gains, np.repeat(alone, 3, 0), atol=0.02)
    assert np.ptp(alone) > 100


def test_constant_slices_are_repeated_without_the_network(linear):
    stack = noise(5, 20, 30)
    stack[[0, 3]] = [[[0]], [[-7.25]]]
    out = predict_stack(linear, stack, compute=CPU)
    assert (out[0] == 0).all() and (out[3] == -7.25).all()
    assert [shape[0] for shape, _ in linear.calls] == [3]


def test_writes_into_any_strides(linear):
    stack = noise(4, 18, 20)
    out = np.zeros((40, 36, 4), np.float32, order="F")
    returned = predict_stack(linear, stack, out=out.transpose(2, 1, 0), compute=CPU)
    assert np.shares_memory(returned, out)
    np.testing.assert_array_equal(out.transpose(2, 1, 0), predict_stack(linear, stack, compute=CPU))


def test_small_slices_are_padded_for_the_network_and_cut_back(linear):
    """A ramp continued by its edge values is interpolated alike with and without the padding."""
    ramp = np.arange(5, dtype=np.float32)[None, :, None] + np.arange(3, dtype=np.float32)
    out = predict_stack(linear, ramp, compute=CPU, faithful=False)
    assert out.shape == (1, 10, 6)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(ramp)[None], scale_factor=2, mode="bilinear"
    )[0].numpy()
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_progress_ends_at_all_slices(linear):
    seen = []
    stack = noise(6, 200, 200)
    stack[1] = 0
    predict_stack(linear, stack, compute=CPU, progress=lambda *step: seen.append(step))
    assert seen == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]


def test_progress_of_large_slices_counts_tiles(linear):
    seen = []
    predict_stack(
        linear, noise(2, 32, 48), compute=CPU, tile=16, progress=lambda *step: seen.append(step)
    )
    assert seen[0] == (0, 12) and seen[-1] == (12, 12) and seen == sorted(set(seen))


@pytest.mark.usefixtures("three_threads")
def test_slices_at_work_at_the_same_time_come_out_in_their_places(linear):
    """The first thread waits until another one has finished a later slice."""
    later, forward, lock = threading.Event(), linear.forward, threading.Lock()
    threads_each = []

    def overtaken(lr, intensity):
        with lock:
            threads_each.append(torch.get_num_threads())
            first = len(threads_each) == 1
        if first:
            assert later.wait(600)  # else it hangs
        result = forward(lr, intensity)
        if not first:
            later.set()
        return result

    stack = noise(7, 32, 40)
    expected = predict_stack(linear, stack, compute=CPU, batch=7)
    linear.forward = overtaken
    seen = []
    found = predict_stack(
        linear, stack, compute=CPU, batch=1, progress=lambda *step: seen.append(step)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert seen == [(done, 7) for done in range(8)]
    assert set(threads_each) == {1} and torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("reason", [KeyboardInterrupt, MemoryError])
def test_what_stops_the_work_leaves_no_thread_behind(linear, reason):
    def stop(done, total):
        if done == 2:
            raise reason

    before = threading.active_count()
    with pytest.raises(reason):
        predict_stack(linear, noise(50, 32, 32), compute=CPU, batch=1, progress=stop)
    assert len(linear.calls) < 10
    assert threading.active_count() == before and torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_of_the_network_surfaces_and_ends_the_others(linear):
    forward = linear.forward

    def fail(lr, intensity):
        if len(linear.calls) >= 4:  # threads may pass it
            raise torch.OutOfMemoryError
        return forward(lr, intensity)

    linear.forward = fail
    before = threading.active_count()
    with pytest.raises(torch.OutOfMemoryError):
        predict_stack(linear, noise(50, 32, 32), compute=CPU, batch=1)
    assert len(linear.calls) < 10 and threading.active_count() == before
