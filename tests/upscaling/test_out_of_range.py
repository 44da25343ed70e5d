"""What is found of scans that no network should be trusted with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from iconet.images import Scan
from iconet.network import IntervalHead
from iconet.network.trust import Familiar, Trust
from iconet.upscaling.models import Models
from iconet.upscaling.noise import noise_of
from iconet.upscaling.options import Options
from iconet.upscaling.out_of_range import (
    features,
    inconsistent,
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
    tissue = 300 + 100 * np.sin(6 * x + 4 * z) + 60 * np.cos(7 * y - 5 * z)
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


@pytest.mark.parametrize("what", ["white noise", "a label map", "a photograph", "a checkerboard"])
def test_images_of_something_else_are_said(network, what):
    rng = np.random.default_rng(0)
    i, j, k = np.indices((64, 56, 12))
    images = {
        "white noise": rng.random((64, 56, 12)) * 500,
        "a label map": np.floor(i / 9) * 37 + np.floor(j / 11) * 91 + k,
        "a photograph": 200 + 100 * np.sin(i * j / 60) + rng.normal(0, 30, i.shape) + k,
        "a checkerboard": 500.0 * ((i // 2 + j // 2) % 2) + k,
    }
    said = found(network, images[what].astype(np.float32), kind="mr")
    assert {"features", "noise"} & set(said)


def test_slices_in_a_wrong_order_are_said(network):
    array = head(shape=(64, 56, 24))
    assert "order" not in found(network, array)
    shuffled = array[..., np.random.default_rng(0).permutation(24)]
    assert "order" in found(network, shuffled)


def test_an_interpolated_scan_that_is_taken_as_it_is_is_said(network):
    spectrum = np.fft.fftshift(np.fft.fft2(head((96, 96, 12)), axes=(0, 1)), axes=(0, 1))
    texture = np.random.default_rng(0).normal(0, 15, (96, 96, 12))
    spectrum += np.fft.fftshift(np.fft.fft2(texture, axes=(0, 1)), axes=(0, 1))
    wide = np.pad(spectrum, ((48, 48), (48, 48), (0, 0)))
    bigger = np.abs(np.fft.ifft2(np.fft.ifftshift(wide, axes=(0, 1)), axes=(0, 1))) * 4
    bigger = bigger.astype(np.float32)
    assert "interpolated" in found(network, bigger, np.diag([-0.5, 0.5, 3, 1]), acquired="off")
    assert "interpolated" not in found(network, bigger, np.diag([-0.5, 0.5, 3, 1]))


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
