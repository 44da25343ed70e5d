"""One axis finer by a network that enlarges two, in both planes that contain it."""

import numpy as np
import pytest

import iconet
from iconet.runtime.device import choose_compute
from iconet.upscaling import one_axis, upscale
from iconet.upscaling.one_axis import enlarge_axis, planes_containing

CPU = choose_compute("cpu", "fp32")


def cosine_volume(shape, waves, factor=1, axis=2):
    """Closed form on a grid `factor` times finer along one axis; 0 and more."""
    volume = np.ones(())
    for index, (size, k) in enumerate(zip(shape, waves, strict=True)):
        count = size * factor if index == axis else size
        position = (np.arange(count) + 0.5) / count
        volume = volume[..., None] * (1 + np.cos(np.pi * k * position))
    return volume


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_axis_is_enlarged_and_the_others_are_as_they_were(cosines, axis, scale):
    """The others are nearly as fine as the grid holds."""
    cosines.scale = scale
    shape, waves = (16, 20, 18), [15, 19, 17]
    waves[axis] = 1
    fine = enlarge_axis(cosine_volume(shape, waves), axis, cosines, compute=CPU)
    np.testing.assert_allclose(fine, cosine_volume(shape, waves, scale, axis), atol=1e-3)


def test_both_planes_that_contain_the_axis_count_alike(cosines, monkeypatch):
    """A network that adds a ripple as strong as its input is wide tells which slices it saw."""
    volume = cosine_volume((20, 30, 16), (19, 29, 3))
    plain = enlarge_axis(volume, 2, cosines, compute=CPU)
    forward = type(cosines).forward

    def marked(self, lr, intensity=None):
        output = forward(self, lr, intensity)
        ripple = 1e-3 * lr.shape[3] * lr.std(dim=(2, 3), keepdim=True)
        output.image[:, :, ::2] += ripple
        output.image[:, :, 1::2] -= ripple
        return output

    monkeypatch.setattr(type(cosines), "forward", marked)
    added = enlarge_axis(volume, 2, cosines, compute=CPU) - plain
    each = 30 * volume.std(axis=(1, 2), ddof=1)[:, None] + 20 * volume.std(axis=(0, 2), ddof=1)
    expected = 1e-3 * each[..., None] / 2 * np.tile([1, -1], 16)
    above_zero = np.repeat(volume > 0.3, 2, axis=2)  # below it there is no room for the ripple
    assert above_zero.mean() > 0.3
    np.testing.assert_allclose(added[above_zero], expected[above_zero], atol=1e-5)


def test_planes_need_a_second_voxel():
    assert planes_containing(2, (8, 9, 10)) == [(0, 2, 1), (1, 2, 0)]
    assert planes_containing(0, (8, 9)) == [(2, 0, 1)]
    assert planes_containing(1, (8, 9)) == [(2, 1, 0)]
    assert planes_containing(2, (1, 9, 10)) == [(0, 2, 1)]
    assert planes_containing(2, (1, 1, 10)) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_a_picture_has_one_such_plane(cosines, axis):
    shape, waves = (16, 20), [15, 19]
    waves[axis] = 1
    fine = upscale(cosine_volume(shape, waves), cosines, axes="ij"[axis])
    np.testing.assert_allclose(fine, cosine_volume(shape, waves, 2, axis), atol=1e-3)


def test_chunks_make_no_difference(linear, monkeypatch):
    volume = np.random.default_rng(0).normal(0, 100, (20, 18, 17)).astype(np.float32)
    volume[:10] += 700
    seen = []
    whole = enlarge_axis(volume, 2, linear, compute=CPU)
    monkeypatch.setattr(one_axis, "CHUNK", 4 * 20 * 17 * 3)
    calls = len(linear.calls)
    pieces = enlarge_axis(volume, 2, linear, compute=CPU, progress=lambda *step: seen.append(step))
    assert len(linear.calls) - calls > calls
    np.testing.assert_allclose(pieces, whole, atol=1e-3)
    assert seen == sorted(seen) and seen[-1] == (38, 38)


def test_a_trained_network_keeps_intensities():
    """On what interpolation does well already: a slow wave."""
    network = iconet.load("mri-x2")
    shape, waves = (32, 36, 24), (4, 3, 5)
    fine = enlarge_axis(cosine_volume(shape, waves), 2, network, compute=CPU)
    true = cosine_volume(shape, waves, 2, 2)
    error = (fine - true)[6:-6, 6:-6, 12:-12]
    assert np.sqrt((error**2).mean()) < 0.02 * np.ptp(true)
