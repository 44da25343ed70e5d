"""Scans that are no crops of k-space: what is asked, and what the result owes them."""

import numpy as np
import pytest
import torch

import iconet
from iconet.network.config import SIZES
from iconet.network.description import OTHER, WAYS
from iconet.physics.kspace import crop_kspace
from iconet.physics.point_spread import POINT_SPREADS, acquired_through
from iconet.runtime.device import Compute
from iconet.upscaling.fidelity import TOLERANCE, local_range
from iconet.upscaling.slices import predict_stack

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
    y, x = np.mgrid[:40, :48]
    blob = 900 * np.exp(-((y - 20) ** 2 + (x - 24) ** 2) / 60)
    return np.stack([blob * (1 + 0.1 * z) for z in range(5)]).astype(np.float32)


def made(way: str, **options: bool) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    return predict_stack(network(way), stack(), compute=CPU, note=notes.append, **options), notes


@pytest.mark.parametrize("name", POINT_SPREADS)
def test_made_smaller_again_the_result_is_the_scan(name: str) -> None:
    result, notes = made(name)
    assert notes == [name]
    again = acquired_through(name, torch.from_numpy(result), 2).numpy()
    assert np.abs(again - stack()).max() < 0.01 * stack().max()


def test_where_the_way_is_not_known_means_stay_near_the_scan() -> None:
    result, notes = made(OTHER)
    assert notes == [OTHER]
    means = acquired_through("block means", torch.from_numpy(result), 2).numpy()
    for mean, image in zip(means, stack(), strict=True):
        least, most = local_range(torch.from_numpy(image))
        room = TOLERANCE * (most - least).numpy()
        assert (np.abs(mean - image) < room + 0.01 * image.max()).all()


def test_a_crop_keeps_its_band_and_so_does_what_is_known_to_be_one() -> None:
    for way, options in ((WAYS[0], {}), ("block means", {"cropped": True})):
        result, notes = made(way, **options)
        assert notes == []
        band = crop_kspace(torch.from_numpy(result)[:, None], 2)[:, 0].numpy()
        bright = stack() > 0.2 * stack().max()  # beside an edge what is dark may be folded
        assert np.abs(band - stack())[bright].max() < 0.02 * stack().max()


def test_a_network_that_was_not_fitted_is_not_asked() -> None:
    told = network("block means")
    told.way.deviation.fill_(1)
    notes: list[str] = []
    predict_stack(told, stack(), compute=CPU, note=notes.append)
    assert notes == []
