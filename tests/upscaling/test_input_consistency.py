"""An output degraded again, compared with its input: where the answer is known."""

import nibabel
import numpy as np
import pytest
import torch

from iconet.images import from_array, from_nibabel
from iconet.physics.kspace import zero_fill
from iconet.upscaling.input_consistency import input_consistency


def placed(array, spacing, origin=(0.0, 0, 0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return from_nibabel(nibabel.Nifti1Image(np.asarray(array, np.float32), affine))


def pair():
    """A scan and its centred zero-filling, which holds all that was measured and no more.

    Odd sizes have no Nyquist line, of which a crop can only keep the mean of both ends.
    """
    low = np.random.default_rng(0).gamma(2, 50, (21, 25, 3)).astype(np.float32)
    high = zero_fill(torch.from_numpy(low).movedim(-1, 0), 2).movedim(0, -1).numpy()
    return placed(low, (1, 1, 3)), placed(high, (0.5, 0.5, 3), (-0.25, -0.25, 0))


def test_zero_filling_is_consistent_and_a_scaled_one_is_off_by_its_scale():
    scan, bigger = pair()
    exact = input_consistency(scan, bigger)
    assert exact.nmse < 1e-6 and exact.psnr > 60
    assert exact.mean_ratio == pytest.approx(1, abs=1e-5)
    scaled = placed(bigger.array * 1.1, (0.5, 0.5, 3), (-0.25, -0.25, 0))
    wrong = input_consistency(scan, scaled)
    assert wrong.mean_ratio == pytest.approx(1.1, abs=1e-5)
    assert wrong.nmse == pytest.approx(0.01, rel=1e-3)
    mean_square = float(np.square(scan.array.astype(float)).mean())
    expected = 10 * np.log10(scan.array.max() ** 2 / (0.01 * mean_square))
    assert wrong.psnr == pytest.approx(expected, abs=0.01)


def test_another_field_of_view_is_not_compared():
    scan, bigger = pair()
    assert input_consistency(scan, placed(bigger.array, (0.5, 0.5, 3))) is None
    assert input_consistency(bigger, scan) is None


def test_every_axis_may_have_grown_and_arrays_need_no_place():
    constant = np.full((6, 7, 8), 3.0, np.float32)
    same = input_consistency(
        from_array(constant), from_array(np.full((12, 14, 16), 3.0, np.float32))
    )
    assert same.mean_ratio == pytest.approx(1) and same.nmse < 1e-12
    nothing = np.zeros((6, 6), np.float32)
    zeros = input_consistency(from_array(nothing), from_array(np.zeros((12, 12), np.float32)))
    assert (zeros.psnr, zeros.nmse, zeros.mean_ratio) == (None, None, None)


@pytest.mark.parametrize("value", [np.nan, -2000])
def test_what_was_set_apart_is_compared_as_what_goes_on_around_it(value):
    scan, bigger = pair()
    exact = input_consistency(scan, bigger)
    for array, size in ((scan.array, 1), (bigger.array, 2)):
        array[: 3 * size] = array[-3 * size :] = value
        array[10 * size : 11 * size, 10 * size : 11 * size, 1] = 1e6
    before = scan.array.copy(), bigger.array.copy()
    found = input_consistency(scan, bigger)
    assert found.psnr > 30 and found.nmse < 0.02
    assert found.mean_ratio == pytest.approx(exact.mean_ratio, abs=0.01)
    np.testing.assert_array_equal(scan.array, before[0])
    np.testing.assert_array_equal(bigger.array, before[1])
