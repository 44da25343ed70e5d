"""Measures of thin slices, on signals for which they are known."""

import numpy as np
import pytest

from iconet.evaluation.through_plane import (
    CONVENTION,
    compare_methods,
    compare_through_plane,
    flicker,
    sharpness,
    spline_along_axis,
    to_text,
    zero_fill_axis,
)

SHAPE = (16, 12, 20)


def moved(values, axis, shape=SHAPE):
    return np.broadcast_to(np.expand_dims(values, [a for a in range(3) if a != axis]), shape)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sharpness_is_energy_in_the_upper_half_of_the_band(axis):
    length = SHAPE[axis]
    position = (np.arange(length) + 0.5) / length
    low = moved(np.cos(np.pi * (length // 2 - 1) * position), axis)
    high = moved(np.cos(np.pi * (length // 2 + 1) * position), axis)
    truth = 5 + 3 * low + 2 * high
    assert sharpness(5 + 3 * low, truth, axis) == pytest.approx(0, abs=1e-12)
    assert sharpness(low + high, truth, axis) == pytest.approx(0.25)
    assert sharpness(truth, truth, axis) == pytest.approx(1)
    assert sharpness(5 + 4 * high, truth, axis) == pytest.approx(4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flicker_is_what_changes_wrongly_from_slice_to_slice(axis):
    steps = moved(np.arange(SHAPE[axis]) * 2.0, axis)  # the truth changes by 2 each time
    jump = moved((-1.0) ** np.arange(SHAPE[axis]), axis)  # an error that changes by 2
    assert flicker(steps + 0.5 * jump, steps, axis) == pytest.approx(0.25)
    assert flicker(steps + 100, steps, axis) == 0  # an error that does not change is none
    assert flicker(np.zeros(SHAPE), steps, axis) == pytest.approx(1)  # slices that do not change
    other = (axis + 1) % 3
    across = moved((-1.0) ** np.arange(SHAPE[other]), other)
    assert flicker(steps + across, steps, axis) == pytest.approx(0)


def test_nothing_beside_nothing_is_no_flicker():
    assert flicker(np.ones(SHAPE), np.ones(SHAPE), 0) == 0
    assert flicker(moved(np.arange(20.0), 2), np.ones(SHAPE), 2) == float("inf")


def head(shape=(24, 20, 32)):
    """A bright box with closed-form texture; nothing beyond half of the band along k."""
    volume = np.ones(shape)
    for axis, k in enumerate((5, 4, 6)):
        position = (np.arange(shape[axis]) + 0.5) / shape[axis]
        volume = volume * (2 + moved(np.cos(np.pi * k * position), axis, shape))
    return volume.astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("method", [spline_along_axis, zero_fill_axis])
def test_interpolation_enlarges_one_axis_in_place(method, axis, factor):
    slow = [1 if a == axis else 3 for a in range(3)]
    shape, fine = (16, 16, 16), [16 * factor if a == axis else 16 for a in range(3)]

    def periodic(sizes):
        volume = np.ones(sizes)
        for a, k in enumerate(slow):
            position = (np.arange(sizes[a]) + 0.5) / sizes[a]
            volume = volume * (2 + moved(np.cos(2 * np.pi * k * position), a, sizes))
        return volume

    found = method(periodic(shape), axis, factor)
    np.testing.assert_allclose(found, periodic(fine), atol=0.03)
    wrong = np.abs(np.roll(found, 1, axis) - periodic(fine)).max()
    assert wrong > 0.5


def test_methods_are_measured_beside_interpolation():
    truth = head()
    results = compare_methods(truth, 2, 2, {"truth": lambda thick, axis, factor: truth})
    assert list(results) == ["cubic-b-spline", "zero-filling", "truth"]
    perfect = results["truth"]
    assert perfect.psnr == float("inf") and perfect.ssim == pytest.approx(1)
    assert perfect.sharpness == pytest.approx(1) and perfect.flicker == (0, 0, 0)
    assert results["zero-filling"].psnr < 60


def test_thick_slices_are_what_methods_get_and_odd_ones_are_left_out():
    seen = []

    def method(thick, axis, factor):
        seen.append((thick.shape, axis, factor))
        return zero_fill_axis(thick, axis, factor)

    results = compare_methods(head((24, 20, 31)), 2, 4, {"mine": method})
    assert seen == [((24, 20, 7), 2, 4)]
    assert results["mine"] == results["zero-filling"]


def test_the_table_says_what_it_means():
    truth = head()
    text = to_text({"mine": compare_through_plane(truth, truth, 2)})
    assert "| mine | inf | 1.0000 | 1.000 | 0.000 | 0.000 | 0.000 |" in text
    assert text.endswith(CONVENTION)
