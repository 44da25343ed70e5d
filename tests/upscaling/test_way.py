"""Scans that are no crops of k-space: how that is told, and what the result owes them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import iconet
from iconet import zoo
from iconet.images import Scan, read
from iconet.network.config import SIZES
from iconet.network.description import OTHER, WAYS
from iconet.physics.blur import gaussian_blur
from iconet.physics.kspace import crop_kspace
from iconet.physics.point_spread import POINT_SPREADS, acquired_through
from iconet.runtime.device import Compute
from iconet.upscaling.fidelity import TOLERANCE, local_range
from iconet.upscaling.input_consistency import input_consistency
from iconet.upscaling.models import Models, Step
from iconet.upscaling.options import Options
from iconet.upscaling.plan import SEEMS, plan_grid, remarks, taking_part
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.upscale import upscale_scan
from iconet.upscaling.way import find_way, telling
from iconet.zoo.model import open_model

DEMO_SCAN = Path(zoo.__file__).parents[1] / "demo_scan" / "sub-01_T1w_slab.nii.gz"
CPU = Compute(torch.device("cpu"), "fp32")


def network(way: str) -> iconet.ICONet:
    """One that takes every scan for one that came by this way."""
    torch.manual_seed(0)
    made = iconet.ICONet(2, **SIZES["tiny"], described=8).eval()
    with torch.no_grad():
        made.way.deviation.fill_(2)
        made.way.scores.bias[WAYS.index(way)] = 100
    return made


def stack() -> np.ndarray:
    """Smooth blobs: bounds of the local range are met at their skirts alone."""
    y, x = np.mgrid[:48, :56]
    blob = 900 * np.exp(-((y - 24) ** 2 + (x - 28) ** 2) / 60)
    return np.stack([blob * (1 + 0.1 * z) for z in range(5)]).astype(np.float32)


@pytest.mark.parametrize("name", POINT_SPREADS)
def test_made_smaller_again_the_result_is_the_scan(name: str) -> None:
    result = predict_stack(network(name), stack(), compute=CPU, way=name)
    again = acquired_through(name, torch.from_numpy(result), 2).numpy()
    assert np.abs(again - stack()).max() < 0.01 * stack().max()


def test_where_the_way_is_not_known_means_stay_near_the_scan() -> None:
    result = predict_stack(network(OTHER), stack(), compute=CPU, way=OTHER)
    means = acquired_through("block means", torch.from_numpy(result), 2).numpy()
    for mean, image in zip(means, stack(), strict=True):
        least, most = local_range(torch.from_numpy(image))
        room = TOLERANCE * (most - least).numpy()
        assert (np.abs(mean - image) < room + 0.01 * image.max()).all()


def test_a_crop_keeps_its_band() -> None:
    result = predict_stack(network(WAYS[0]), stack(), compute=CPU)
    band = crop_kspace(torch.from_numpy(result)[:, None], 2)[:, 0].numpy()
    bright = stack() > 0.2 * stack().max()  # beside an edge what is dark may be folded
    assert np.abs(band - stack())[bright].max() < 0.02 * stack().max()


def test_the_way_is_asked_of_networks_that_were_fitted() -> None:
    fitted, fresh = network("block means"), network("block means")
    fresh.way.deviation.fill_(1)
    assert telling(fitted) is fitted and telling(fresh) is None
    assert telling(iconet.ICONet(2, **SIZES["tiny"])) is None
    assert (
        find_way(fitted, stack()) == "block means" and find_way(network(WAYS[0]), stack()) is None
    )


def test_of_constant_and_of_tiny_slices_nothing_is_told() -> None:
    for slices in (np.full((4, 48, 56), 7.0), stack()[:, :40]):
        assert find_way(network("block means"), slices) is None


def lowered(way: str) -> Scan:
    """The demo scan, made smaller by each of the ways."""
    scan = read(DEMO_SCAN)
    slices = torch.from_numpy(np.moveaxis(scan.array, 2, 0)[:, None].astype(np.float32).copy())
    slices = slices[..., : slices.shape[-2] // 2 * 2, : slices.shape[-1] // 2 * 2]
    size = (slices.shape[-2] // 2, slices.shape[-1] // 2)
    interpolated = partial(F.interpolate, slices, size, antialias=True)
    low = {
        "none": lambda: slices,
        "crop": lambda: crop_kspace(slices, 2).abs(),
        "block means": lambda: F.avg_pool2d(slices, 2),
        "cubic interpolation": lambda: interpolated(mode="bicubic"),
        "smooth": lambda: gaussian_blur(slices, 2.0),
        "blurred": lambda: gaussian_blur(slices, 2.4)[..., ::2, ::2],
    }[way]()
    return Scan(np.asfortranarray(np.moveaxis(low[:, 0].numpy(), 0, 2)), np.diag([2, 2, 3, 1.0]))


@pytest.fixture(scope="module")
def shipped() -> Models:
    return Models(open_model(None), only=False)


@pytest.mark.parametrize("way", ["none", "crop", "smooth", "block means", "cubic interpolation"])
def test_the_package_chooses_its_network_by_the_way(way: str, shipped: Models) -> None:
    scan = lowered(way)
    plan = plan_grid(scan, shipped, Options(plane="k"))
    names = [model.name for model in taking_part(plan, shipped)]
    if way in ("none", "crop", "smooth"):
        assert names == ["mri-x2"] and not isinstance(plan.acquisition, Step)
        return
    assert names == ["mri-any-x2"]
    assert isinstance(plan.acquisition, Step) and plan.acquisition.way is not None
    said = remarks(scan, plan, shipped)
    assert any(SEEMS[plan.acquisition.way] in line and "--model mri-x2" in line for line in said)


def test_whoever_names_a_model_or_takes_slices_as_they_are_gets_that(shipped: Models) -> None:
    scan = lowered("block means")
    only = Models(shipped.chosen)
    assert taking_part(plan_grid(scan, only, Options(plane="k")), only) == [shipped.chosen]
    plan = plan_grid(scan, shipped, Options(plane="k", acquired="off", window="none"))
    assert taking_part(plan, shipped) == [shipped.chosen]


def test_it_gains_on_block_means_and_agrees_with_the_scan(shipped: Models) -> None:
    scan, truth = lowered("block means"), lowered("none").array
    errors = {}
    for models in (shipped, Models(shipped.chosen)):
        plan = plan_grid(scan, models, Options(plane="k"))
        bigger = upscale_scan(scan, plan, models, CPU, Options(plane="k"))
        errors[models.only] = np.square(bigger.array - truth).mean()
        if models is shipped:
            found = input_consistency(scan, bigger, plan.acquisition)
            crop = input_consistency(scan, bigger)
            assert found is not None and found.psnr is not None and crop is not None
            assert crop.psnr is not None and 40 < found.psnr > crop.psnr + 3
    assert errors[False] < 0.9 * errors[True]


def test_whoever_names_the_network_for_it_is_believed_sooner(shipped: Models) -> None:
    scan = lowered("blurred")
    assert taking_part(plan_grid(scan, shipped, Options(plane="k")), shipped) == [shipped.chosen]
    named = Models(open_model("mri-any-x2"))
    assert plan_grid(scan, named, Options(plane="k")).acquisition is not None
