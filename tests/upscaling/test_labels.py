"""Labels on another grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, zoom

from iconet.upscaling.labels import LostLabelsError, relabel


def made(volume, steps, sizes=None):
    sizes = sizes or [round(n / steps.get(axis, 1)) for axis, n in enumerate(volume.shape)]
    out = np.empty(sizes, np.float32, order="F")
    relabel(volume, out, steps)
    return out


def tissues(shape, count=6, smooth=4.0, seed=0):
    """Smooth regions that fill a volume, as tissues do."""
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.normal(size=shape), smooth) for _ in range(count)]
    names = np.array([0, 2, 41, 1001, 2035, 14175][:count], np.float32)
    return names[np.argmax([field / field.std() for field in fields], axis=0)]


def bodies(shape):
    """Ellipsoids of different sizes in each other, as organs are."""
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    found = np.zeros(shape, np.float32)
    for name, size, place in ((1, 0.85, 0), (7, 0.5, 0.1), (3, 0.3, -0.2)):
        found[sum(((x - place) / size) ** 2 for x in grid) < 1] = name
    return found


def plates(shape):
    """Sheets of one and two voxels of the coarse grid."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return (abs(x + 0.3 * y) < 0.04) + 2.0 * (abs(x - 0.4 * y - 0.5) < 0.06)


def coarse(fine, factors):
    """The label that fills most of each block."""
    names = np.unique(fine)
    sizes = [part for n, f in zip(fine.shape, factors, strict=True) for part in (n // f, f)]
    shares = [(fine == name).reshape(sizes).mean(axis=(1, 3, 5)) for name in names]
    return names[np.argmax(shares, axis=0)].astype(np.float32)


def nearest(volume, factors):
    return zoom(volume, factors, order=0, grid_mode=True, mode="nearest")


def boundary_dice(found, truth):
    """Mean over labels of the Dice coefficient within two voxels of a boundary."""
    near = np.zeros(truth.shape, bool)
    for axis in range(3):
        for shift in (1, -1, 2, -2):
            near |= np.roll(truth, shift, axis) != truth
    scores = []
    for name in np.unique(truth[near]):
        a, b = found[near] == name, truth[near] == name
        scores.append(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))
    return np.mean(scores)


FACTORS = [(2, 2, 1), (4, 4, 1), (2, 1, 2), (2, 2, 2), (1, 1, 4), (1, 1, 2), (2, 1, 1)]


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("of", [tissues, bodies])
def test_boundaries_are_at_least_as_good_as_the_nearest_label(of, factors):
    truth = of((80, 72, 32))
    low = coarse(truth, factors)
    found = made(low, {axis: 1 / f for axis, f in enumerate(factors) if f > 1})
    assert set(np.unique(found)) == set(np.unique(low))
    better, plain = boundary_dice(found, truth), boundary_dice(nearest(low, factors), truth)
    several = sum(f > 1 for f in factors) > 1 or max(factors) > 2
    assert better > plain + 0.005 if several else better >= plain


@pytest.mark.parametrize("factors", FACTORS)
def test_what_is_thin_stays(factors):
    truth = plates((80, 72, 32))
    low = coarse(truth, factors)
    found = made(low, {axis: 1 / f for axis, f in enumerate(factors) if f > 1})
    assert boundary_dice(found, truth) > boundary_dice(nearest(low, factors), truth) - 0.005


def test_every_old_voxel_keeps_three_quarters_of_itself():
    low = tissues((40, 36, 4), smooth=1.5)
    same = made(low, {0: 0.25, 1: 0.25}) == nearest(low, (4, 4, 1))
    assert same.reshape(40, 4, 36, 4, 4).mean(axis=(1, 3)).min() >= 0.75


def test_what_is_one_voxel_wide_stays_whole():
    low = np.zeros((12, 10, 3), np.float32)
    low[4, 5, 1], low[8], low[np.arange(10), np.arange(10), 2] = 7, 9, 3
    fine = made(low, {0: 0.25, 1: 0.25})
    for label in (3, 7, 9):
        same = nearest(low == label, (4, 4, 1))
        assert (fine[same] == label).all()


def test_a_straight_edge_stays_and_stairs_become_smoother():
    edge = np.zeros((8, 8, 2), np.float32)
    edge[3:] = 5
    np.testing.assert_array_equal(made(edge, {0: 0.5, 1: 0.5}), nearest(edge, (2, 2, 1)))
    x, y = np.ogrid[:24, :24]
    stairs = ((3 * x + 2 * y) < 60).astype(np.float32)
    truth = (3 * (np.ogrid[:48] - 0.5) / 2)[:, None] + 2 * (np.ogrid[:48] - 0.5) / 2 < 60 - 0.25
    wrong = [
        np.count_nonzero(each != truth)
        for each in (made(stairs, {0: 0.5, 1: 0.5}), nearest(stairs, 2))
    ]
    assert wrong[0] < wrong[1]


@given(
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(1, 5)),
    ratios=st.tuples(*[st.sampled_from([1, 0.5, 0.25, 0.7, 0.31, 1.3, 2.4])] * 3),
    seed=st.integers(0, 99),
    kinds=st.integers(1, 6),
)
def test_labels_are_the_same_set_on_any_grid(shape, ratios, seed, kinds):
    volume = np.random.default_rng(seed).integers(0, kinds, shape).astype(np.float32) * 1000
    sizes = [max(1, round(n / ratio)) for n, ratio in zip(shape, ratios, strict=True)]
    steps = {axis: ratio for axis, ratio in enumerate(ratios) if ratio != 1}
    try:
        found = made(volume, steps, sizes)
    except LostLabelsError as error:
        assert np.prod(sizes) < np.prod(shape)
        assert "finer spacing" in str(error)
        return
    assert set(np.unique(found)) == set(np.unique(volume))
    if not steps:
        np.testing.assert_array_equal(found, volume)


def test_one_voxel_of_a_label_survives_a_coarser_grid():
    volume = np.zeros((12, 12, 6), np.float32)
    volume[5, 5, 3] = 9
    found = made(volume, {0: 3.0, 1: 3.0})
    assert np.argwhere(found == 9).tolist() == [[1, 1, 3]]
    with pytest.raises(LostLabelsError, match="labels 1, 2, 3"):
        made(np.arange(4, dtype=np.float32).reshape(2, 2), {0: 2.0, 1: 1.4}, [1, 1])


def test_coarser_voxels_take_what_fills_most_of_them():
    fine = bodies((40, 40, 8))
    np.testing.assert_array_equal(made(fine, {0: 2.0, 1: 2.0}) != coarse(fine, (2, 2, 1)), False)


def test_not_a_number_is_a_label():
    volume = np.full((6, 6), np.nan, np.float32)
    volume[2:4, 2:4] = 3
    found = made(volume, {0: 0.5, 1: 0.5})
    assert np.isnan(found[0, 0]) and found[6, 6] == 3
    assert set(found[~np.isnan(found)]) == {3}


def test_hundreds_of_labels_need_no_more_memory_than_a_few(monkeypatch):
    volume = np.random.default_rng(0).permutation(16 * 16 * 4).reshape(16, 16, 4) // 2 + 0.0
    whole = made(volume.astype(np.float32), {0: 0.5, 1: 0.5})
    monkeypatch.setattr("iconet.upscaling.labels.CHUNK", 100)
    np.testing.assert_array_equal(made(volume.astype(np.float32), {0: 0.5, 1: 0.5}), whole)
    assert len(np.unique(whole)) == 512
