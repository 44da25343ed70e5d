"""The mean of a network's answers to a slice in all positions."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

import iconet
from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.kspace.read_kspace import read_kspace
from iconet.runtime.device import choose_compute
from iconet.upscaling.from_kspace import KspaceModels, upscale_kspace
from iconet.upscaling.models import Models
from iconet.upscaling.one_axis import enlarge_axis
from iconet.upscaling.options import Options
from iconet.upscaling.plan import plan_grid
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.turns import ALL, KEEPING_AXES
from iconet.upscaling.upscale import upscale_scan
from iconet.zoo.model import Model

from ..network.small import tiny
from ..study.studies import raw
from .conftest import noise
from .test_interval import trusted

CPU = choose_compute("cpu", "fp32", "torch")


def test_there_are_eight_turns_and_each_is_undone():
    slices = torch.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert len({str(turn.there(slices).tolist()) for turn in ALL}) == 8
    for turn in ALL:
        assert torch.equal(turn.back(turn.there(slices)), slices)
    assert [turn.there(slices).shape for turn in KEEPING_AXES] == [slices.shape] * 4


def test_the_result_turns_with_the_slice(wide):
    """`wide` itself does not: it weighs its neighbours by where they are."""
    image = noise(1, 40, 48)
    plain = predict_stack(wide, image, compute=CPU)
    assert abs(predict_stack(wide, image[:, ::-1], compute=CPU)[:, ::-1] - plain).max() > 10
    made = predict_stack(wide, image, compute=CPU, best=True)
    for turned in (lambda x: x[:, ::-1], lambda x: x[..., ::-1], lambda x: x.swapaxes(1, 2)):
        again = predict_stack(wide, turned(image), compute=CPU, best=True)
        np.testing.assert_allclose(again, turned(made), atol=2e-2)


def test_along_one_axis_it_is_the_mean_of_four_flips(wide):
    image = noise(3, 40, 48)
    flips = [np.s_[:], np.s_[:, ::-1], np.s_[:, :, ::-1], np.s_[:, ::-1, ::-1]]
    each = [predict_stack(wide, image[f], compute=CPU, faithful=False)[f] for f in flips]
    wide.calls.clear()
    made = predict_stack(wide, image, compute=CPU, faithful=False, best=True)
    assert {shape[-2:] for shape, _ in wide.calls} == {(40, 48)}
    np.testing.assert_allclose(made, np.mean(each, 0), atol=2e-2)
    volume = enlarge_axis(image, 1, wide, compute=CPU, best=True)
    assert abs(volume - enlarge_axis(image, 1, wide, compute=CPU)).max() > 1


@pytest.mark.parametrize("described", [0, 4])
def test_tiles_see_what_the_whole_slice_sees(described):
    network, image = tiny(described=described), noise(1, 96, 72)
    whole = predict_stack(network, image, compute=CPU, best=True)
    tiles = predict_stack(network, image, compute=CPU, best=True, tile=48)
    np.testing.assert_allclose(tiles, whole, atol=0.05)


@pytest.mark.parametrize("asked", [Options(), Options(axes="k"), Options(spacing=0.4)])
def test_bounds_lie_around_it(asked):
    rng = np.random.default_rng(3)
    scan = Scan(rng.normal(300, 60, (20, 24, 18)).clip(0), affine=np.diag([1, 1, 2.0, 1]))
    models, made = Models(Model.of(trusted())), []
    for uncertainty in (False, True):
        options = replace(asked, best=True, uncertainty=uncertainty)
        plan = plan_grid(scan, models, options)
        made.append(upscale_scan(scan, plan, models, CPU, options))
    lower, upper = made[1].bounds
    assert (lower <= made[1].array).all() and (made[1].array <= upper).all()
    assert (lower < upper).any()
    np.testing.assert_array_equal(made[0].array, made[1].array)


def test_raw_kspace_is_turned_only_where_it_is_complete(tmp_path):
    images = Model.of(tiny())
    samples = Model.of(iconet.ICONet(2, width=8, exchanges=1, channels=2).eval())
    models = KspaceModels(samples, images)
    for name in ("complete.h5", "undersampled.h5"):
        raw(tmp_path / name)
    with h5py.File(tmp_path / "complete.h5", "a") as file:
        file["kspace"][...] = noise(2, 3, 32, 24).astype(np.complex64)
    complete = read_kspace(tmp_path / "complete.h5")
    plain, best = (
        upscale_kspace(complete, models, compute=CPU, options=Options(best=best))[0].array
        for best in (False, True)
    )
    assert abs(best - plain).max() > 1e-3 * plain.max()
    with pytest.raises(InputError, match=r"undersampled\.h5: .*omit --best"):
        upscale_kspace(
            *(read_kspace(tmp_path / "undersampled.h5"), models),
            compute=CPU,
            options=Options(best=True),
        )
