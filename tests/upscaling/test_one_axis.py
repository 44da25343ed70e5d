"""One axis finer by a network that enlarges two, in both planes that contain it."""

import numpy as np
import pytest
import torch

import iconet
from iconet.runtime.device import choose_compute
from iconet.upscaling import one_axis, upscale
from iconet.upscaling.one_axis import enlarge_axis, planes_containing

CPU = choose_compute("cpu", "fp32")


def cosine_volume(shape, waves, factor=1, axis=2):
    """Closed form on a grid `factor` times finer along one axis."""
    volume = np.ones(())
    for index, (size, k) in enumerate(zip(shape, waves, strict=True)):
        count = size * factor if index == axis else size
        position = (np.arange(count) + 0.5) / count
        volume = volume[..., None] * (2 + np.cos(np.pi * k * position))
    return volume


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_axis_is_enlarged_and_the_others_are_as_they_were(cosines, axis, scale):
    cosines.scale = scale
    shape, waves = (16, 20, 18), (15, 11, 17)  # nearly as fine as the grid holds
    fine = enlarge_axis(cosine_volume(shape, waves), axis, cosines, compute=CPU)
    np.testing.assert_allclose(fine, cosine_volume(shape, waves, scale, axis), atol=1e-3)


def test_both_planes_that_contain_the_axis_count_alike(cosines, monkeypatch):
    """A network that marks its input's shape tells which slices it saw."""
    from types import SimpleNamespace

    def forward(self, lr, intensity=None):
        marked = torch.full((len(lr), 1, 2 * lr.shape[2], 2 * lr.shape[3]), float(lr.shape[3]))
        return SimpleNamespace(image=marked)

    monkeypatch.setattr(type(cosines), "forward", forward)
    volume = np.random.default_rng(0).random((20, 30, 16))
    fine = enlarge_axis(volume, 2, cosines, compute=CPU)
    np.testing.assert_allclose(fine, (20 + 30) / 2, rtol=1e-5)  # columns of one and the other


def test_planes_need_a_second_voxel():
    assert planes_containing(2, (8, 9, 10)) == [(0, 2, 1), (1, 2, 0)]
    assert planes_containing(0, (8, 9)) == [(2, 0, 1)]
    assert planes_containing(1, (8, 9)) == [(2, 1, 0)]
    assert planes_containing(2, (1, 9, 10)) == [(0, 2, 1)]
    assert planes_containing(2, (1, 1, 10)) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_a_picture_has_one_such_plane(cosines, axis):
    shape, waves = (16, 20), (9, 7)
    fine = upscale(cosine_volume(shape, waves), cosines, axes="ij"[axis])
    np.testing.assert_allclose(fine, cosine_volume(shape, waves, 2, axis), atol=1e-3)


def test_chunks_make_no_difference(linear, monkeypatch):
    """Not even for signed values, whose dark level a chunk alone would not know."""
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
    assert {scale for _, scales in linear.calls for scale in scales} == {linear.calls[0][1][0]}


def test_a_trained_network_keeps_intensities():
    """On what interpolation does well already: a slow wave."""
    network = iconet.load("mri-x2")
    shape, waves = (32, 36, 24), (4, 3, 5)
    fine = enlarge_axis(cosine_volume(shape, waves), 2, network, compute=CPU)
    true = cosine_volume(shape, waves, 2, 2)
    error = (fine - true)[6:-6, 6:-6, 12:-12]
    assert np.sqrt((error**2).mean()) < 0.02 * np.ptp(true)
