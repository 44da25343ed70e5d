"""Upscaling with the real architecture, and with every trained network of the package."""

from pathlib import Path

import numpy as np
import pytest
import torch

import iconet
from iconet import zoo
from iconet.data.truth import truth_stack
from iconet.images import read
from iconet.network import SIZES
from iconet.physics.kspace import crop_kspace
from iconet.physics.slice_profile import thick_slices
from iconet.runtime.device import choose_compute
from iconet.upscaling.one_axis import enlarge_axis
from iconet.upscaling.slices import predict_stack

CPU = choose_compute("cpu", "fp32")
DEMO_SCAN = Path(zoo.__file__).parents[1] / "demo_scan" / "sub-01_T1w_slab.nii.gz"
# Those for scans as they are stored; models of raw k-space have their tests in tests/zoo.
TRAINED = [entry.name for entry in zoo.catalogue() if "joint" not in entry.name]


def awake(scale, described=0):
    """An untrained network whose every weight matters: none of them is zero."""
    torch.manual_seed(scale)
    network = iconet.ICONet(scale, **SIZES["tiny"], described=described).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.abs().max() == 0:
                weight.normal_(std=0.1)
    return network


def head(*shape):
    """Something like a head: a bright ellipse with a textured inside on a dark background."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(*(np.linspace(-1.2, 1.2, size) for size in shape), indexing="ij")
    inside = x**2 + y**2 < 1
    texture = np.cos(25 * x + 10 * y) + np.sin(40 * x * y)
    return (inside * (500 + 150 * texture) + rng.rayleigh(10, shape)).astype(np.float32)[None]


@pytest.mark.parametrize("described", [0, 8])
@pytest.mark.parametrize(("scale", "shape", "tile"), [(2, (151, 58), 48), (4, (167, 42), 32)])
def test_tiles_agree_with_the_whole_slice(monkeypatch, scale, shape, tile, described):
    network, stack = awake(scale, described), head(*shape)
    whole = predict_stack(network, stack, compute=CPU)
    tiled = predict_stack(network, stack, compute=CPU, tile=tile)
    assert np.abs(tiled - whole).max() < 1e-4 * np.ptp(whole)
    # Without the context there are seams, or the test could not fail.
    monkeypatch.setattr(type(network), "halo", 0)
    seams = predict_stack(network, stack, compute=CPU, tile=tile)
    assert np.abs(seams - whole).max() > 1e-3 * np.ptp(whole)


@pytest.mark.parametrize("factor", [1e-3, 1, 1e4])
def test_intensities_come_back_on_the_scale_of_the_input(factor):
    network, stack = awake(2), head(64, 72)
    np.testing.assert_allclose(
        predict_stack(network, stack * np.float32(factor), compute=CPU) / factor,
        predict_stack(network, stack, compute=CPU),
        atol=0.01,
    )


@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_leave_no_seam(name):
    network = iconet.load(name)
    # So long that the first and the last tile with their context do not see all of it.
    stack = head(network.halo + 75, 60)
    whole = predict_stack(network, stack, compute=CPU)
    tiled = predict_stack(network, stack, compute=CPU, tile=64)
    assert np.abs(tiled - whole).max() < 1e-3 * np.ptp(whole)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_agree_in_both_precisions(name):
    network, stack = iconet.load(name), head(72, 60)
    full = predict_stack(network, stack, compute=CPU)
    half = predict_stack(network, stack, compute=choose_compute("cpu", "bf16"))
    assert half.dtype == np.float32
    # Every stage of the cascade rounds once more.
    assert np.sqrt(np.mean((half - full) ** 2)) < 1e-3 * len(network.stages) * np.ptp(full)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_do_not_mind_where_zero_is(name):
    """Z-scores and Hounsfield units come back as the same image on their own scale."""
    network, stack = iconet.load(name), head(64, 80)
    stack -= stack.min()
    plain = predict_stack(network, stack, compute=CPU)
    shifted = predict_stack(network, stack - stack.max(), compute=CPU) + stack.max()
    assert np.abs(shifted - plain).max() < 1e-4 * stack.max()


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("turned", [False, True])
def test_trained_networks_keep_the_anatomy_in_place(name, turned):
    """Real anatomy moves by less than 2 % of a voxel of the input."""
    network = iconet.load(name)
    truth = truth_stack(read(DEMO_SCAN), "axial")
    truth = truth[len(truth) // 2 :][:1]
    if turned:
        truth = np.ascontiguousarray(truth[:, ::-1, ::-1])
    low = crop_kspace(torch.from_numpy(truth), network.scale).abs().numpy()
    out = predict_stack(network, low, compute=CPU)
    assert np.abs(_shift(out[0], truth[0])).max() < 0.02 * network.scale
    # The measure sees what it must: here one voxel.
    np.testing.assert_allclose(_shift(np.roll(truth[0], 1, axis=1), truth[0]), [0, 1], atol=1e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks_keep_the_anatomy_in_place_across_thick_slices(name):
    network = iconet.load(name)
    truth = read(DEMO_SCAN).array[64:128, 64:192, 8:24]
    thick = thick_slices(torch.from_numpy(truth).transpose(1, 2), network.scale).transpose(1, 2)
    thin = enlarge_axis(thick.numpy(), 1, network, compute=CPU)
    # One slice's shift is measured to a tenth of a voxel only; a displacement is in all of them.
    shifts = [_shift(thin[..., k], truth[..., k]) for k in range(2, 14)]
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.01 * network.scale
    assert np.abs(shifts).max() < 0.03 * network.scale
    beside = _shift(np.roll(truth[..., 8], 1, axis=1), truth[..., 8])
    np.testing.assert_allclose(beside, [0, 1], atol=0.1)


def _shift(moved, still):
    """Voxels along both axes, by the slope of the cross-spectrum's phase at low frequencies."""
    cross = np.fft.fft2(moved) * np.conj(np.fft.fft2(still))
    y, x = np.meshgrid(*map(np.fft.fftfreq, moved.shape), indexing="ij")
    weight = np.abs(cross) * (y**2 + x**2 < 0.15**2)
    slopes = [[np.sum(weight * a * b) for b in (y, x)] for a in (y, x)]
    phase = [-np.sum(weight * a * np.angle(cross)) / (2 * np.pi) for a in (y, x)]
    return np.linalg.solve(slopes, phase)
