"""What each operation of a plan makes, needs and does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iconet.images import Scan
from iconet.runtime.device import choose_compute
from iconet.upscaling.models import Models, Step
from iconet.upscaling.one_axis import CHUNK
from iconet.upscaling.operations import (
    Enlarging,
    Interpolating,
    Resampling,
    memory_between,
    operations,
)
from iconet.upscaling.options import Options
from iconet.upscaling.plan import plan_grid, remarks
from iconet.upscaling.windows import plan_windows
from iconet.zoo.model import Model

from .conftest import package

CPU = choose_compute("cpu", "fp32")
SHAPE = (20, 24, 18)


def enlarging(network, axes, factor=2, tile=None):
    return Enlarging(network, Step(axes, factor), 2, CPU, None, tile)


@pytest.mark.parametrize(
    ("axes", "shape", "windows"),
    # Along one axis both planes that contain it go through the network.
    [((0, 1), (40, 48, 18), 18), ((2,), (20, 24, 36), 20 + 24), ((0,), (40, 24, 18), 18 + 24)],
)
def test_an_enlargement_says_what_it_makes_before_it_does(linear, axes, shape, windows):
    operation = enlarging(linear, axes)
    volume = np.random.default_rng(0).random(SHAPE, np.float32)
    seen = []
    made = operation(volume, None, lambda *step: seen.append(step))
    assert operation.shape(SHAPE) == made.shape == shape
    assert operation.windows(SHAPE) == windows == seen[-1][1]


def test_a_resampling_needs_nothing_beside_the_volumes():
    operation = Resampling(1, 30, 24 / 30)
    assert operation.shape(SHAPE) == (20, 30, 18)
    assert operation.windows(SHAPE) == operation.memory(SHAPE) == 0
    made = operation(np.full(SHAPE, 7, np.float32), None, lambda *step: None)
    np.testing.assert_allclose(made, np.full((20, 30, 18), 7), rtol=1e-6)


def test_the_memory_of_an_enlargement_is_that_of_its_largest_slices(linear):
    in_plane, along_one = enlarging(linear, (0, 1)), enlarging(linear, (2,))
    assert in_plane.memory(SHAPE) == plan_windows(linear, 20, 24, device="cpu").memory
    most = max(plan_windows(linear, side, 18, device="cpu").memory for side in (20, 24))
    assert along_one.memory(SHAPE) == 2 * 4 * CHUNK + most


def test_only_volumes_between_two_operations_are_counted(linear):
    first, second = Resampling(0, 40, 0.5), Resampling(1, 12, 2)
    assert memory_between([], SHAPE) == memory_between([first], SHAPE) == 0
    assert memory_between([first, second], SHAPE) == 4 * 40 * 24 * 18
    # The volume before an operation and the one after it are there together.
    third = Resampling(2, 9, 2)
    assert memory_between([first, second, third], SHAPE) == 4 * (40 * 24 + 40 * 12) * 18
    network = enlarging(linear, (0, 1))
    assert memory_between([network], SHAPE) == network.memory(SHAPE)


def test_a_plan_becomes_its_steps_and_then_its_resamplings(linear):
    scan = Scan(np.zeros(SHAPE, np.float32), np.diag([1.0, 1, 3, 1]))
    models, options = Models(Model.of(linear)), Options(spacing="1x1x1", tile=16)
    plan = plan_grid(scan, models, options)
    found = operations(plan, models, CPU, options)
    assert [type(operation) for operation in found] == [Enlarging, Enlarging, Resampling]
    assert [operation.step for operation in found[:2]] == list(plan.steps)
    assert all(operation.tile == 16 for operation in found[:2])
    shape = SHAPE
    for operation in found:
        shape = operation.shape(shape)
    assert shape == plan.shape == (20, 24, 54)
    assert found[2] == Resampling(2, 54, pytest.approx(4 / 3))


@pytest.mark.parametrize("axes", ["auto", "k", "ijk"])
def test_a_kind_without_a_model_is_interpolated_in_one_operation(axes):
    values = np.random.default_rng(0).random(SHAPE, np.float32)
    scan = Scan(values, np.diag([1.0, 1, 3, 1]), path=Path("sub-1_ct.nii"))
    models, options = package(), Options(axes=axes)
    plan = plan_grid(scan, models, options)
    assert (plan.kind.name, plan.steps, plan.finest) == ("CT", (), 2)
    (operation,) = operations(plan, models, CPU, options)
    assert isinstance(operation, Interpolating)
    seen = []
    made = operation(values, None, lambda *step: seen.append(step))
    assert made.shape == operation.shape(SHAPE) == plan.shape
    windows = operation.windows(SHAPE)
    assert seen == [(done, windows) for done in range(1, windows + 1)]
    between = 4 * 20 * 24 * 36 if "k" in axes else 0
    assert operation.memory(SHAPE) == between + 24 * plan.shape[0] * plan.shape[1]


def test_no_remark_is_made_of_models_that_do_not_say_mri_or_of_mri(linear):
    scan = Scan(np.zeros(SHAPE, np.float32), np.eye(4), path=Path("sub-1_pet.nii"))
    for purpose, kinds in {
        "T1w MR images": ["PET"],
        "CT of the chest": ["PET"],
        "FDG PET": [],
        "primary": [],
    }.items():
        models = Models(replace(Model.of(linear), name="mine", purpose=purpose))
        lines = remarks(scan, plan_grid(scan, models, Options()), models)
        assert len(lines) == len(kinds)
        for line in lines:
            assert line.startswith(
                f"sub-1_pet.nii: PET, for which mine was not trained ({purpose})"
            )
    mri = replace(scan, path=Path("sub-1_T1w.nii"))
    assert remarks(mri, plan_grid(mri, package(), Options()), package()) == []
    models = Models(replace(Model.of(linear), name="ct-x2", purpose="CT of chest and limbs"))
    (line,) = remarks(mri, plan_grid(mri, models, Options()), models)
    assert "an MR image, for which ct-x2 was not trained" in line
