"""The voxels of another grid lie over the same field of view, whatever fills them."""

import nibabel
import numpy as np
import pytest

from iconet.images import from_array, from_nibabel
from iconet.upscaling.regrid import as_stack, regrid, resize_in_plane

AFFINE = np.array([[0, 0, 5, 7], [-0.8, 0, 0, 30], [0, 0.9, 0, -20], [0, 0, 0, 1.0]])


def scan(*shape):
    return from_nibabel(nibabel.Nifti1Image(np.zeros(shape, np.float32), AFFINE))


def corners(affine, shape):
    """The outer corners of the field of view, half a voxel outside the first and last centres."""
    voxels = np.array(list(np.ndindex(2, 2, 2))) * shape[:3] - 0.5
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def test_slices_grow_in_their_plane_and_the_field_of_view_stays():
    seen = []

    def fill(before, after):
        seen.append((before.shape, after.shape))
        after[:] = len(seen)

    low = scan(12, 10, 4, 2)
    fine = resize_in_plane(low, 1, (3, 2), fill)
    assert fine.array.shape == (18, 10, 6, 2)
    assert seen == [((10, 12, 4), (10, 18, 6))] * 2  # volume by volume, slices first
    assert (fine.array == [1, 2]).all()
    np.testing.assert_allclose(
        corners(fine.affine, fine.array.shape), corners(AFFINE, low.array.shape), atol=1e-5
    )
    np.testing.assert_allclose(fine.header.get_best_affine(), fine.affine, atol=1e-5)
    assert fine.header.get_data_shape() == (18, 10, 6, 2)


def test_where_the_spacing_does_not_divide_the_field_of_view_its_centre_stays():
    low = scan(10, 9, 4)
    fine = regrid(low, (14, 13, 4), (0.7, 0.7, 1), lambda before, after: None)
    np.testing.assert_allclose(fine.affine @ [6.5, 6, 1.5, 1], AFFINE @ [4.5, 4, 1.5, 1], atol=1e-6)
    np.testing.assert_allclose(np.diag(fine.affine.T @ fine.affine)[:3], [0.56**2, 0.63**2, 25])


@pytest.mark.parametrize("placed", [True, False])
def test_arrays_lie_in_memory_as_they_are_written(placed):
    low = scan(6, 5, 4) if placed else from_array(np.ones((6, 5, 4), np.float32))
    fine = resize_in_plane(low, 2, (2, 1), lambda before, after: after.fill(0))
    assert fine.array.flags["F_CONTIGUOUS" if placed else "C_CONTIGUOUS"]
    assert (fine.affine is None) != placed


def test_a_picture_is_one_slice():
    picture, volume = np.zeros((6, 5)), np.zeros((6, 5, 4))
    assert as_stack(picture, 2).shape == (1, 6, 5)
    assert [as_stack(volume, axis).shape for axis in range(3)] == [(6, 5, 4), (5, 6, 4), (4, 6, 5)]
    as_stack(volume, 2)[3] = 1
    assert (volume[..., 3] == 1).all()  # a view
