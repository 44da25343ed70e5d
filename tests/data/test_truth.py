"""The truth is what was acquired, in the plane that is sharp."""

import numpy as np
import pytest
import torch

from iconet.data.acquired import acquired_matrix
from iconet.data.truth import truth_stack
from iconet.errors import InputError
from iconet.images import Scan
from iconet.physics.kspace import resize_kspace


def test_a_scan_enlarged_by_the_scanner_is_reduced_to_what_was_acquired():
    acquired = torch.rand(6, 143, 159, generator=torch.Generator().manual_seed(0)) + 5
    enlarged = resize_kspace(acquired, (256, 256)).numpy()
    truth = truth_stack(Scan(np.moveaxis(enlarged, 0, 2), np.eye(4)), "axial")
    matrix = acquired_matrix(enlarged)
    assert matrix[0] <= 150 and matrix[1] <= 166
    # The enlarged scan holds nothing but the acquired one, so reducing either is the same.
    expected = resize_kspace(acquired, matrix).numpy()
    top, left = ((n - size) // 2 for n, size in zip(matrix, truth.shape[1:], strict=True))
    cropped = expected[:, top : top + truth.shape[1], left : left + truth.shape[2]]
    assert not any(size % 8 for size in truth.shape[1:])
    assert np.allclose(truth, cropped, atol=1e-4)


def test_a_scan_without_empty_kspace_is_only_cropped_to_multiples_of_eight():
    array = np.random.default_rng(1).uniform(1, 9, (90, 5, 103)).astype(np.float32)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    truth = truth_stack(Scan(array, affine), "coronal")
    assert np.array_equal(truth, np.moveaxis(array[1:89, :, 3:99], 1, 0))


@pytest.mark.parametrize(
    ("shape", "reason"), [((16, 16, 4, 2), "4 axes"), ((16, 7, 4), "smaller than 8 x 8")]
)
def test_scans_without_slices_to_measure_are_refused(shape: tuple[int, ...], reason: str):
    with pytest.raises(InputError, match=reason):
        truth_stack(Scan(np.ones(shape, np.float32), np.eye(4)), "axial")
