import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.intensity import levels_of_slice
from iconet.network.interpolation import SincInterpolation
from iconet.runtime.device import choose_compute
from iconet.upscaling.slices import predict_stack

from .conftest import Linear

CPU = choose_compute("cpu", "fp32")


def ball_in_noise(*shape, radius=20, level=1000.0, air=10.0, seed=0):
    """A disc in the middle of every slice, Rayleigh noise around it: a scan of magnitude images."""
    rng = np.random.default_rng(seed)
    y, x = (np.arange(side) - side / 2 + 0.5 for side in shape[1:])
    disc = np.hypot(y[:, None], x) < radius
    texture = level + rng.normal(0, 0.1 * level, shape)
    return np.where(disc, texture, rng.rayleigh(air, shape)).astype(np.float32), disc


def normalised(network, image):
    """What a network makes of a whole slice, whose dark level it gets as 0 and bright one as 1."""
    dark, bright = levels_of_slice(image)
    given = torch.from_numpy((image - dark) / (bright - dark))[None, None]
    return network(given, torch.ones(1)).image[0, 0].numpy() * (bright - dark) + dark


def test_background_is_interpolated_and_what_lies_around_the_object_predicted(near):
    stack, disc = ball_in_noise(3, 120, 136)
    found = predict_stack(near, stack, compute=CPU, faithful=False)
    rows, columns = found.shape[1] // 2, found.shape[2] // 2
    assert [shape for shape, _ in near.calls] == [(3, 1, 48, 48)]  # 40 and the margins

    plain = SincInterpolation()(torch.from_numpy(stack)[:, None])[:, 0].numpy()
    inside = np.s_[:, rows - 48 : rows + 48, columns - 48 : columns + 48]
    outside = np.ones(found.shape, bool)
    outside[inside] = False
    np.testing.assert_allclose(found[outside], plain[outside], atol=1e-6 * np.ptp(stack))

    everything = np.stack([normalised(near, image) for image in stack])
    at_object = np.broadcast_to(disc.repeat(2, 0).repeat(2, 1), found.shape)
    error = np.abs(found - everything)[at_object]
    assert error.max() < 1e-5 * np.ptp(stack)  # the margin is as much as `near` sees
    assert np.abs(everything - plain)[at_object].max() > 1e-2 * np.ptp(stack)


@pytest.mark.parametrize("scale", [2, 4])
def test_slices_of_noise_beyond_an_object_never_reach_the_network(scale):
    network, seen = Linear(scale), []
    stack, _ = ball_in_noise(24, 96, 96)
    air = np.r_[0:8, 16:24]
    stack[air] = np.random.default_rng(1).rayleigh(10, (16, 96, 96))
    found = predict_stack(
        network, stack, compute=CPU, batch=4, progress=lambda *step: seen.append(step)
    )
    assert seen[0] == (0, 24) and seen[-1] == (24, 24)
    assert sum(shape[0] for shape, _ in network.calls) == 8
    np.testing.assert_allclose(found[air].mean(), stack[air].mean(), rtol=1e-2)
    assert 0.7 < found[air].std() / stack[air].std() < 1.1


def test_dim_slices_with_an_object_reach_it():
    network = Linear()
    stack, _ = ball_in_noise(16, 96, 96)
    dim = np.r_[0:8]
    stack[dim] *= np.float32(0.005)
    found = predict_stack(network, stack, compute=CPU)
    assert sum(shape[0] for shape, _ in network.calls) == 16
    np.testing.assert_array_equal(found[dim], predict_stack(network, stack[dim], compute=CPU))


def test_neighbouring_slices_share_a_frame_and_others_have_theirs(linear):
    stack, _ = ball_in_noise(16, 160, 160, radius=12)
    stack[4] = np.roll(stack[4], 48, axis=1)
    predict_stack(linear, stack, compute=CPU, batch=1)
    sizes = [shape[-2:] for shape, _ in linear.calls]
    assert sorted(sizes) == [(40, 40)] * 12 + [(40, 88)] * 4


def test_tiles_of_an_object_leave_no_seam(wide):
    stack, _ = ball_in_noise(2, 150, 170, radius=40)
    seen = []
    whole = predict_stack(wide, stack, compute=CPU)
    tiled = predict_stack(
        wide, stack, compute=CPU, tile=24, progress=lambda *step: seen.append(step)
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * np.ptp(whole))
    assert seen[-1] == (2 * 7 * 8, 2 * 7 * 8) and seen == sorted(set(seen))


@given(
    shape=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.integers(4, 12),
    dark=st.sampled_from([0.0, -1000.0]),
)
def test_whatever_stands_out_of_the_air_is_given_to_the_network(shape, place, size, dark):
    """A square of 30 % of what is bright, wherever it is, is predicted with its surroundings."""
    stack = np.random.default_rng(0).rayleigh(8, (1, *shape)).astype(np.float32)
    top, left = (round(at * (side - size)) for at, side in zip(place, shape, strict=True))
    stack[0, top : top + size, left : left + size] += 300
    stack[0, shape[0] // 2 - 3 :, shape[1] // 2 - 3 :][:6, :6] = 1000
    network = Linear()
    found = predict_stack(network, stack + dark, compute=CPU, faithful=False)
    linear = network(torch.from_numpy(stack + dark)[:, None], torch.ones(1)).image[0, 0].numpy()
    around = tuple(
        slice(2 * max(0, first - 3), 2 * min(side, first + size + 3))
        for first, side in zip((top, left), shape, strict=True)
    )
    np.testing.assert_allclose(found[0][around], linear[around], atol=2e-2)
