"""What is found of scans that no network should be trusted with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, zoom

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.kind import kind_of
from iconet.network import IntervalHead
from iconet.network.trust import Familiar, Trust
from iconet.physics.kspace import resize_kspace
from iconet.upscaling.models import Models
from iconet.upscaling.noise import noise_of
from iconet.upscaling.options import Options
from iconet.upscaling.out_of_range import (
    acceptable,
    features,
    inconsistent,
    is_filled,
    middle_of,
    out_of_range,
    properties,
    share_in_order,
    slices_given,
)
from iconet.upscaling.plan import plan_grid
from iconet.zoo.model import Model

from .test_interval import trusted

pytestmark = pytest.mark.unlike

AFFINE = np.diag([-1.0, 1, 3, 1])


def head(shape=(64, 56, 12), seed=0, noise=3.0):
    """An ellipse with smooth tissue that changes slowly from slice to slice."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = (x / 0.8) ** 2 + (y / 0.85) ** 2 < 1
    tissue = 300 + 100 * np.sin(6 * x + 2 * z) + 60 * np.cos(7 * y - 3 * z)
    image = inside * tissue + np.random.default_rng(seed).normal(0, noise, shape)
    return np.abs(image).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """It knows heads of 1 mm."""
    made = trusted(2)
    made.metadata = {"name": "small", "purpose": "MRI of heads"}
    model = Model.of(made)
    cuts = [
        middle_of(head(seed=seed, noise=2 + seed % 3)[..., k])
        for seed in range(12)
        for k in range(2, 11)
    ]
    familiar = replace(Familiar.of(features(cuts, model)), furthest=2.5)
    ranges = {"spacing": (0.9, 1.2), "noise": (0.0, 0.03)}
    made.trust = Trust(IntervalHead(made.width), familiar, ranges, {})
    return made


def found(network, array, affine=AFFINE, **options):
    scan = Scan(array, affine=affine)
    models, asked = Models(Model.of(network)), Options(plane="k", **options)
    plan = plan_grid(scan, models, asked)
    return [each.what for each in out_of_range(scan, plan, models, asked)]


def test_a_scan_like_those_it_knows_is_none(network):
    assert found(network, head(seed=99)) == []


def test_pixels_of_another_size_are_said(network):
    assert "spacing" in found(network, head(), np.diag([-4.0, 4, 3, 1]))
    assert "spacing" not in found(network, head(), np.diag([-1.5, 1.5, 3, 1]))


def test_noise_is_said(network):
    assert "noise" in found(network, head(noise=40))


@pytest.mark.parametrize("what", ["white noise", "a photograph", "a checkerboard"])
def test_images_of_something_else_are_said(network, what):
    rng = np.random.default_rng(0)
    i, j, k = np.indices((64, 56, 12))
    images = {
        "white noise": rng.random((64, 56, 12)) * 500,
        "a photograph": 200 + 100 * np.sin(i * j / 60) + rng.normal(0, 30, i.shape) + k,
        "a checkerboard": 500.0 * ((i // 2 + j // 2) % 2) + k,
    }
    said = found(network, images[what].astype(np.float32), kind="mr")
    assert {"features", "noise"} & set(said)


LABELS = np.where(head(noise=0) > 0, 1 + np.indices((64, 56, 12))[0] // 9, 0)
OTHER_KINDS = {
    "labels": LABELS,
    "labels with large numbers": LABELS * 1000 + 7,
    "labels on a finer grid": LABELS.repeat(2, 0).repeat(2, 1),
    "a mask": LABELS > 0,
    "CT": np.where(LABELS > 0, np.random.default_rng(0).normal(40, 10, LABELS.shape), -1000),
    "a phase": np.angle(np.exp(1j * np.indices((64, 56, 12)).sum(0) / 3)),
}


@pytest.mark.parametrize("what", OTHER_KINDS)
@pytest.mark.parametrize("asked", ["mr", "auto"])
def test_values_of_another_kind_given_as_mr_are_said(network, what, asked):
    if asked == "auto" and what == "CT":
        pytest.skip("told by its values; the model is then the wrong one")
    array = OTHER_KINDS[what].astype(np.float32)
    affine = np.diag([-1.0, 1, 3, 1]) if array.shape[0] == 64 else np.diag([-0.5, 0.5, 3, 1])
    assert "kind" in found(network, array, affine, kind=asked)


def test_it_says_which_kind_and_how_to_give_it(network):
    scan, models = Scan(LABELS.astype(np.int16), affine=AFFINE), Models(Model.of(network))
    asked = Options(plane="k", kind="mr", strict=True)
    findings = out_of_range(scan, plan_grid(scan, models, asked), models, asked)
    assert "looks like labels (8 values" in findings[0].line
    assert "--kind labels" in findings[0].line
    with pytest.raises(InputError, match="--kind labels"):
        acceptable(findings, asked)


@pytest.mark.parametrize("levels", [255, 63])
@pytest.mark.parametrize("how", ["whole", "masked", "saturated", "smooth", "on a plateau"])
def test_scans_of_few_grey_values_are_no_labels(levels, how):
    array = np.rint(head(shape=(96, 96, 6), noise=8) / 460 * levels)
    spoilt = {
        "whole": array,
        "masked": np.where(array > levels / 4, array, 0),
        "saturated": array.clip(levels // 3, 4 * levels // 5),
        "smooth": np.rint(gaussian_filter(array, (1.2, 1.2, 0))),
        "on a plateau": array + 100 * (array > levels / 4),
    }
    assert not kind_of(Scan(spoilt[how].astype(np.uint8), affine=AFFINE), "mr").seems


def test_a_noise_free_phantom_as_a_scanner_sees_it_is_no_labels():
    i, j = np.indices((256, 256)) - 127.5
    drawn = 400.0 * (np.hypot(i, j) < 100) - 150.0 * (np.hypot(i - 20, j) < 40)
    low = resize_kspace(torch.from_numpy(drawn)[None], (96, 96)).abs().numpy()
    assert not kind_of(Scan(np.rint(low).astype(np.int16)[0], affine=None), "mr").seems


def test_images_without_air_must_be_nearer_to_what_is_known(network):
    array = head(seed=5)[12:52, 12:44]  # all tissue
    scan, models, asked = Scan(array, affine=AFFINE), Models(Model.of(network)), Options(plane="k")
    plan = plan_grid(scan, models, asked)
    given = slices_given(scan, plan)
    assert is_filled(given)
    assert not is_filled([*head().transpose(2, 0, 1)])
    distance = properties(given, Model.of(network)).distance
    known = network.trust
    for factor, said in ((1.1, True), (1.9, False)):  # of 0.6 times the usual
        familiar = replace(known.familiar, furthest=factor * distance)
        network.trust = replace(known, familiar=familiar)
        assert ("features" in found(network, array)) == said
    network.trust = known


ORDERS = {
    "shuffled": np.random.default_rng(0).permutation(24),
    "odd after even": np.r_[0:24:2, 1:24:2],
    "interleaved": np.arange(24).reshape(2, 12).T.ravel(),
    "neighbours exchanged": np.arange(24).reshape(12, 2)[:, ::-1].ravel(),
}


@pytest.mark.parametrize("order", ORDERS)
def test_slices_in_a_wrong_order_are_said(network, order):
    assert "order" in found(network, head(shape=(64, 56, 24))[..., ORDERS[order]])


def test_slices_in_order_are_not_said(network):
    array = head(shape=(64, 56, 24))
    assert "order" not in found(network, array)
    assert "order" not in found(network, array[..., ::-1])
    assert "order" not in found(network, head(shape=(64, 56, 24), noise=40))
    same = np.repeat(array[..., :1], 24, 2) + np.random.default_rng(0).normal(0, 9, array.shape)
    assert "order" not in found(network, same.astype(np.float32))


def textured(shape=(96, 96, 12)):
    """Detail up to the corners of k-space, as real tissue has."""
    rng = np.random.default_rng(0)
    spots = gaussian_filter(rng.normal(0, 60, shape), (0.7, 0.7, 1)) + rng.normal(0, 6, shape)
    return np.abs(head(shape) + spots * (head(shape) > 100)).astype(np.float32)


def in_kspace(array):
    bigger = array.shape[0] * 2, array.shape[1] * 2
    stack = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
    return resize_kspace(stack, bigger).abs().numpy().transpose(1, 2, 0)


INTERPOLATED = {
    "zeros in k-space": in_kspace,
    "splines": lambda array: zoom(array, (2, 2, 1)),
    "splines of 8 bits": lambda array: np.rint(zoom(array, (2, 2, 1)) / 3),
    "splines of other centres": lambda array: zoom(
        array, (2, 2, 1), grid_mode=True, mode="nearest"
    ),
    "straight lines": lambda array: zoom(array, (2, 2, 1), order=1),
    "straight lines, odd number of pixels": lambda array: zoom(array, (2, 2, 1), order=1)[:-1, 1:],
    "nearest pixels": lambda array: array.repeat(2, 0).repeat(2, 1),
    "another factor": lambda array: zoom(array, (1.5, 1.5, 1), order=1),
}


@pytest.mark.parametrize("how", INTERPOLATED)
def test_an_interpolated_scan_that_is_taken_as_it_is_is_said(network, how):
    bigger = INTERPOLATED[how](textured()).clip(0).astype(np.float32)
    affine = np.diag([-0.5, 0.5, 3, 1])
    assert "interpolated" in found(network, bigger, affine, acquired="off")
    # Zeros in k-space alone are found and undone.
    assert ("interpolated" in found(network, bigger, affine)) == (how != "zeros in k-space")
    assert "interpolated" not in found(network, bigger, affine, acquired="96x96")


SMOOTH = {
    "as it is": lambda array: array,
    "blurred": lambda array: gaussian_filter(array, (0.6, 0.6, 0)),
    "made smaller by means": lambda array: array.reshape(48, 2, 48, 2, 12).mean(axis=(1, 3)),
    "smoothed along one axis": lambda array: gaussian_filter(array, (2, 0, 0)),
}


@pytest.mark.parametrize("how", SMOOTH)
def test_smooth_scans_are_not_said_to_be_interpolated(network, how):
    array = SMOOTH[how](textured()) + np.random.default_rng(1).normal(0, 2, (1, 1, 12))
    assert "interpolated" not in found(network, np.abs(array).astype(np.float32), acquired="off")


def test_noise_is_measured_in_flat_tissue_and_edges_leave_it():
    rng = np.random.default_rng(0)
    image = np.where(np.arange(200) < 100, 1.0, 0.5) + rng.normal(0, 0.05, (200, 200))
    assert noise_of(image) == pytest.approx(0.05, rel=0.05)
    assert noise_of(np.zeros((20, 20))) is None


def test_few_slices_tell_nothing_of_their_order():
    assert share_in_order(np.zeros((5, 20, 20))) is None
    stack = np.moveaxis(head(shape=(64, 56, 24)), 2, 0)
    assert share_in_order(stack) == 1


def test_what_a_network_gets_is_looked_at_along_a_single_axis_too(network):
    scan = Scan(head(), affine=AFFINE)
    models, asked = Models(Model.of(network)), Options(axes="k")
    plan = plan_grid(scan, models, asked)
    given = slices_given(scan, plan)
    assert all(image.shape == (12, 56) for image in given)  # thick slices along the rows
    assert properties(given, Model.of(network)).distance > 0


def test_a_result_that_is_another_image_is_said(network):
    scan = Scan(head(), affine=AFFINE)
    models = Models(Model.of(network))
    plan = plan_grid(scan, models, Options(plane="k"))
    same = np.repeat(np.repeat(scan.array, 2, 0), 2, 1)
    affine = np.diag([-0.5, 0.5, 3, 1.0])
    affine[:2, 3] = [0.25, -0.25]
    other = Scan(same + 100 * (same > 100), affine=affine)
    assert [each.what for each in inconsistent(scan, other, plan)] == ["consistency"]
    assert torch.is_grad_enabled()
