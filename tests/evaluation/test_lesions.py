"""What becomes of lesions, on stacks of slices where it is known."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from iconet.evaluation.lesions import (
    FEWEST,
    find_lesions,
    find_spots,
    foreseen,
    raised,
    unmatched,
)
from iconet.upscaling.interval import Bounds

SHAPE = (4, 60, 70)
TISSUE = np.ones(SHAPE, bool)


def cube(*corner: int, size: tuple[int, int, int] = (2, 4, 4)) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))] = True
    return mask


def test_each_connected_part_is_a_lesion_with_its_volume_and_fragments_are_none():
    mask = cube(1, 10, 10) | cube(2, 14, 14, size=(1, 1, 1)) | cube(0, 40, 40, size=(1, 1, 2))
    (lesion,) = find_lesions(mask, TISSUE, 0.5)
    assert lesion.volume == (32 + 1) * 0.5  # touching by a corner is touching
    assert lesion.inside.sum() == 33 and FEWEST > 2


def test_rings_keep_clear_of_all_lesions_and_stay_in_tissue():
    first, second = cube(1, 20, 20), cube(1, 20, 28)
    tissue = TISSUE.copy()
    tissue[:, :20] = False
    for lesion in find_lesions(first | second, tissue, 1.0):
        ring = np.zeros(SHAPE, bool)
        ring[lesion.box] = lesion.ring
        assert ring.any() and not (ring & ~tissue).any()
        for axis, step in ((1, 1), (1, -1), (2, 1), (2, -1)):
            assert not (np.roll(ring, step, axis) & (first | second)).any()
    assert find_lesions(first, np.zeros(SHAPE, bool), 1.0) == []


def test_contrast_and_extent_are_those_of_a_cube_on_a_slope():
    mask = cube(1, 20, 20)
    image = 100.0 + np.arange(SHAPE[2]) + 30 * mask
    (lesion,) = find_lesions(mask, TISSUE, 2.0)
    assert lesion.contrast(image) == pytest.approx(30)
    assert lesion.extent(image, 15) == lesion.volume == 64
    assert lesion.contrast(image - 30 * mask) == pytest.approx(0)
    assert lesion.extent(image - 30 * mask, 15) == 0


def test_a_lesion_at_the_edge_of_the_stack_is_measured():
    mask = cube(0, 0, 0) | cube(2, 56, 66)
    image = 50.0 + 10 * mask
    for lesion in find_lesions(mask, TISSUE, 1.0):
        assert lesion.contrast(image) == 10


def test_only_small_bright_parts_are_spots():
    spot, slab, dark = cube(1, 12, 12), cube(0, 30, 30, size=(4, 6, 12)), cube(1, 12, 50)
    image = 100.0 + 40 * spot + 40 * slab - 40 * dark + np.arange(SHAPE[1])[:, None]
    found = find_spots(raised(image), TISSUE, 20, 100)
    assert [set(each) for each in found] == [set(np.flatnonzero(spot))]
    assert find_spots(raised(image), ~spot, 20, 100) == []
    assert find_spots(raised(image), TISSUE, 50, 100) == []


def test_what_is_invented_and_what_is_missing_are_told_by_the_same_rule():
    there, made_up, faint = cube(1, 12, 12), cube(1, 12, 40), cube(1, 40, 12)
    truth = gaussian_filter(100.0 + 40 * there + 40 * faint, (0, 0.5, 0.5))
    result = gaussian_filter(100.0 + 38 * there + 40 * made_up + 15 * faint, (0, 0.5, 0.5))
    true, above = raised(truth), raised(result)
    (invented,) = unmatched(above, true, find_spots(above, TISSUE, 12, 100))
    assert made_up.ravel()[invented].mean() > 0.5
    (missing,) = unmatched(true, above, find_spots(true, TISSUE, 12, 100))
    assert faint.ravel()[missing].mean() > 0.5
    assert unmatched(true, true, find_spots(true, TISSUE, 12, 100)) == []


def test_bounds_are_judged_at_the_voxels_named():
    truth = np.zeros(SHAPE)
    bounds = Bounds(truth - 1, truth + 3)
    where = np.flatnonzero(cube(1, 20, 20))
    assert foreseen(truth, bounds, where) == (True, 1.0, 4.0)
    truth.ravel()[where] = [2.0, 6.0] * 16  # in the mean 4
    assert foreseen(truth, bounds, where) == (False, 0.5, 4.0)
