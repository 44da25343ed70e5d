"""Bounds on every path: lower <= image <= upper, and the image is what it is without them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import iconet
from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.kspace.read_kspace import read_kspace
from iconet.network import IntervalHead
from iconet.network.trust import Trust
from iconet.runtime.device import choose_compute
from iconet.upscaling.from_kspace import KspaceModels, upscale_kspace
from iconet.upscaling.interval import Bounds, around_slice
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.plan import plan_grid
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.upscale import upscale_scan
from iconet.zoo.model import Model

from ..study.studies import raw

CPU = choose_compute("cpu", "fp32", "torch")
SETTINGS = {"width": 8, "exchanges": 1, "rec_units": 1, "sr_units": 1}


def trusted(scale=2, **kind):
    """An untrained network with a head that answers to what it sees."""
    torch.manual_seed(scale)
    network = iconet.ICONet(scale, **SETTINGS, **kind).eval()
    head = IntervalHead(network.width).eval()
    with torch.no_grad():
        for weight in (*network.parameters(), *head.parameters()):
            weight.normal_(std=0.2)
        head.distances.bias.fill_(-1)
    network.trust = Trust(head, None, {}, {})
    return network


NETWORKS = {scale: trusted(scale) for scale in (2, 4)}


def ordered(made):
    lower, upper = made.bounds
    return bool((lower <= made.array).all() and (made.array <= upper).all())


def both_ways(scan, network, options):
    """A scan upscaled without bounds and with them."""
    found = []
    for uncertainty in (False, True):
        asked = replace(options, uncertainty=uncertainty)
        models = Models(Model.of(network))
        plan = plan_grid(scan, models, asked)
        found.append(upscale_scan(scan, plan, models, CPU, asked))
    return found


def volume(shape, seed, odd):
    """Blobs on a background: constant, noisy, negative or partly NaN."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, shape[0])[:, None, None]
    y = np.linspace(-1, 1, shape[1])[None, :, None]
    image = np.where(x**2 + y**2 < 0.6, 300 + 80 * np.sin(9 * x + 5 * y), 0)
    image = np.repeat(image, shape[2], 2) + rng.normal(0, 5, shape) * (odd != "masked")
    if odd == "masked":
        image = np.where(image > 0, image + rng.normal(0, 5, shape), 0)
    if odd == "signed":
        image -= 200
    if odd == "holes":
        image[3:6, 3:6] = np.nan
        image[20, 20, 0] = 1e5
    if odd == "constant":
        image[..., 0] = 7
    return image.astype(np.float32)


AFFINE = np.diag([-1.0, 1.2, 3, 1])
GRIDS = [
    Options(),
    Options(tile=24),
    Options(axes="k"),
    Options(spacing="0.7x0.9x2"),
    Options(axes="ijk"),
    Options(acquired="24x20"),
]


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(GRIDS),
    st.sampled_from([2, 4]),
    st.sampled_from(["plain", "masked", "signed", "holes", "constant"]),
    st.integers(0, 9),
)
def test_every_path_keeps_the_order_and_the_image(options, scale, odd, seed):
    scan = Scan(volume((32, 28, 5), seed, odd), affine=AFFINE)
    plain, made = both_ways(scan, NETWORKS[scale], options)
    np.testing.assert_array_equal(plain.array, made.array)
    assert plain.bounds is None
    held = ~np.isnan(made.array)
    lower, upper = (bound[held] for bound in made.bounds)
    assert (lower <= made.array[held]).all() and (made.array[held] <= upper).all()
    assert (upper - lower).max() > 0


def test_a_series_has_bounds_of_every_volume():
    array = np.stack([volume((32, 28, 3), seed, "plain") for seed in range(3)], axis=3)
    scan = Scan(array, affine=AFFINE)
    _, made = both_ways(scan, NETWORKS[2], Options())
    alone = both_ways(replace(scan, array=array[..., 1]), NETWORKS[2], Options())[1]
    assert ordered(made)
    for series, single in zip(made.bounds, alone.bounds, strict=True):
        np.testing.assert_array_equal(series[..., 1], single)


def test_integers_beyond_24_bits_keep_the_order_too():
    array = volume((32, 28, 3), 0, "plain").astype(np.float64) + 2**26
    _, made = both_ways(Scan(array, affine=AFFINE), NETWORKS[2], Options())
    assert made.array.dtype == np.float64 and ordered(made)


@pytest.mark.parametrize("odd", ["plain", "masked", "wild"])
@pytest.mark.parametrize("options", [Options(), Options(tile=24)])
def test_of_a_file_of_integers_bounds_are_rounded_away_from_the_image(tmp_path, options, odd):
    array = np.rint(volume((32, 28, 3), 0, "masked" if odd == "masked" else "plain"))
    if odd == "wild":
        array[16, 14, 1] = 30000
    exact = Scan(array, affine=AFFINE)
    stored = replace(exact, path=tmp_path / "scan.nii", dtype=np.dtype(np.int16))
    plain, made = (both_ways(scan, NETWORKS[2], options)[1] for scan in (exact, stored))
    np.testing.assert_array_equal(plain.array, made.array)
    assert {bound.dtype for bound in made.bounds} == {np.dtype(np.int16)} and ordered(made)
    for found, outwards, before in zip(made.bounds, (np.floor, np.ceil), plain.bounds, strict=True):
        np.testing.assert_array_equal(found, outwards(before).clip(-(2**15), 2**15 - 1))


def test_bounds_of_a_file_of_bytes_stop_at_its_largest_value(tmp_path):
    array = np.clip(volume((32, 28, 2), 0, "plain"), 0, 255).round()
    scan = Scan(array, affine=AFFINE, path=tmp_path / "scan.nii", dtype=np.dtype(np.uint8))
    lower, upper = both_ways(scan, NETWORKS[2], Options())[1].bounds
    assert upper.dtype == np.uint8 and (lower <= upper).all() and upper.max() == 255


def test_a_masked_background_and_constants_are_certain():
    image = volume((32, 28, 2), 0, "masked")
    image[..., 1] = 5
    _, made = both_ways(Scan(image, affine=AFFINE), NETWORKS[2], Options())
    lower, upper = made.bounds
    assert (lower[:4, :4, 0] == upper[:4, :4, 0]).all()
    assert (lower[..., 1] == 5).all() and (upper[..., 1] == 5).all()


@pytest.mark.parametrize("described", [0, 6])
def test_bounds_of_tiles_are_those_of_whole_slices(described):
    network = trusted(2, described=described)
    running = network.with_head(network.trust.head)
    stack = np.moveaxis(volume((70, 66, 2), 0, "plain"), 2, 0)
    found = []
    for tile in (None, 32):
        bounds = Bounds.empty((2, 140, 132))
        predict_stack(running, stack, compute=CPU, tile=tile, bounds=bounds)
        found.append(bounds)
    for whole, tiled in zip(found[0].both, found[1].both, strict=True):
        assert np.abs(whole - tiled).max() < 1e-3 * np.ptp(whole)


def test_bounds_follow_a_shift_and_a_scale_of_the_intensities():
    network = NETWORKS[2].with_head(NETWORKS[2].trust.head)
    stack = np.moveaxis(volume((40, 40, 1), 0, "plain"), 2, 0)
    found = []
    for image in (stack, 3 * stack + 100):
        bounds = Bounds.empty((1, 80, 80))
        predict_stack(network, image, compute=CPU, bounds=bounds)
        found.append(bounds)
    for one, other in zip(found[0].both, found[1].both, strict=True):
        assert np.abs(other - (3 * one + 100)).max() < 1e-4 * np.ptp(other)


def test_python_gives_three_of_a_kind_and_refuses_weights_without_a_head():
    array = volume((32, 28, 3), 0, "plain")
    given = {"device": "cpu", "precision": "fp32", "backend": "torch"}
    plain = iconet.upscale(array, NETWORKS[2], **given)
    made = iconet.upscale(array, NETWORKS[2], uncertainty=True, **given)
    np.testing.assert_array_equal(made.image, plain)
    assert (made.lower <= made.image).all() and (made.image <= made.upper).all()
    tensor = iconet.upscale(torch.from_numpy(array), NETWORKS[2], uncertainty=True, **given)
    assert isinstance(tensor.lower, torch.Tensor)
    with pytest.raises(InputError, match="no intervals come with these weights"):
        iconet.upscale(array, iconet.ICONet(2, **SETTINGS).eval(), uncertainty=True, **given)


def test_k_space_has_bounds_whose_image_is_what_it_was(tmp_path):
    raw(tmp_path / "raw.h5")
    model = Model.of(trusted(2, channels=2))
    found = [
        upscale_kspace(
            read_kspace(tmp_path / "raw.h5"),
            KspaceModels(model, model),
            compute=CPU,
            options=Options(uncertainty=uncertainty),
        )[0]
        for uncertainty in (False, True)
    ]
    np.testing.assert_array_equal(found[0].array, found[1].array)
    assert ordered(found[1]) and found[1].bounds[0].min() >= 0


def test_what_two_networks_do_not_know_adds_as_squares():
    first = Bounds(np.full((2, 2), 7.0), np.full((2, 2), 14.0))
    before, image = np.full((2, 2), 10.0), np.full((4, 4), 10.0)
    bounds = Bounds(np.full((4, 4), 6.0), np.full((4, 4), 13.0))
    bounds.widen(image, before, first)
    np.testing.assert_allclose(bounds.lower, 10 - 5)
    np.testing.assert_allclose(bounds.upper, 10 + 5)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize(
    "frame", [None, (slice(4, 16), slice(8, 12)), (slice(0, 20), slice(0, 16))]
)
def test_the_order_in_which_voxels_are_stored_does_not_matter(factor, frame):
    random = np.random.default_rng(factor)
    low = random.normal(100, 30, (20, 16)).astype(np.float32)
    high = random.normal(100, 30, (20 * factor, 16 * factor)).astype(np.float32)
    points = torch.rand(2, 10 * factor, 8 * factor)
    rest = points, np.array([20, 40], np.float32), frame, float(low.min())
    bounds = around_slice(high, low, *rest)
    turned = around_slice(np.asfortranarray(high), np.asfortranarray(low), *rest)
    np.testing.assert_allclose(turned, bounds, rtol=1e-5)
    assert turned[0].flags.f_contiguous
    assert (bounds[0] <= high).all()
    assert (high <= bounds[1]).all()


def test_air_is_bounded_by_the_voxels_around_widened_by_half_of_their_range():
    low = np.zeros((6, 6), np.float32)
    low[2, 2] = 10
    high = np.zeros((12, 12), np.float32)
    nothing = torch.zeros(2, 6, 6), np.ones(2, np.float32), None, 0.0
    lower, upper = around_slice(high, low, *nothing)
    near = np.zeros((12, 12), np.float32)
    near[2:8, 2:8] = 15
    np.testing.assert_array_equal(upper, near)
    np.testing.assert_array_equal(lower, 0)
