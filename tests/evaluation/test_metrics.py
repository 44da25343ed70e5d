"""Metrics against closed forms and against implementations written another way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from iconet.evaluation.metrics import evaluate, foreground, haarpsi, nmse, psnr, ssim


def volume(seed=0, shape=(3, 24, 20)):
    return np.random.default_rng(seed).uniform(10, 200, shape)


def head(shape=(4, 32, 32)):
    """A bright disc on a zero background."""
    y, x = np.ogrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    return np.broadcast_to(np.where(x**2 + y**2 < 0.5, 100.0, 0.0), shape).copy()


def test_a_constant_offset_has_a_known_psnr_and_nmse():
    reference = volume()
    reference[0, 0, 0] = 1000.0
    assert psnr(reference + 10, reference) == pytest.approx(40.0)
    expected = 100 * reference.size / (reference**2).sum()
    assert nmse(reference + 10, reference) == pytest.approx(expected)


def test_the_data_range_is_the_maximum_of_the_volume_not_of_each_slice():
    reference = np.stack([np.full((8, 8), 1.0), np.full((8, 8), 100.0)])
    prediction = reference + 1.0
    assert psnr(prediction, reference) == pytest.approx(40.0)


def test_nothing_beats_the_truth_itself():
    reference = volume()
    result = evaluate(reference.copy(), reference)
    assert result.psnr == result.psnr_foreground == math.inf
    assert result.ssim == pytest.approx(1.0)
    assert result.haarpsi == pytest.approx(1.0)
    assert result.nmse == result.nmse_foreground == 0.0


@given(st.floats(1e-3, 1e5), st.integers(0, 100))
def test_no_metric_depends_on_the_intensity_unit(unit, seed):
    reference = head() + volume(seed, (4, 32, 32)) / 20
    prediction = reference + np.random.default_rng(seed + 1).normal(0, 5, reference.shape)
    plain, scaled = evaluate(prediction, reference), evaluate(prediction * unit, reference * unit)
    assert np.allclose(list(vars(plain).values()), list(vars(scaled).values()), rtol=1e-6)


def test_ssim_equals_explicit_windows():
    reference = volume(1, (2, 11, 13))
    prediction = reference + np.random.default_rng(2).normal(0, 20, reference.shape)
    c1, c2 = (0.01 * reference.max()) ** 2, (0.03 * reference.max()) ** 2
    values = []
    for x, y in zip(prediction, reference, strict=True):
        for row in range(11 - 6):
            for column in range(13 - 6):
                a = x[row : row + 7, column : column + 7].ravel()
                b = y[row : row + 7, column : column + 7].ravel()
                (va, cab), (_, vb) = np.cov(a, b)  # divides by N - 1
                values.append(
                    (2 * a.mean() * b.mean() + c1)
                    / (a.mean() ** 2 + b.mean() ** 2 + c1)
                    * (2 * cab + c2)
                    / (va + vb + c2)
                )
    assert ssim(prediction, reference) == pytest.approx(np.mean(values), rel=1e-9)


def test_ssim_in_a_mask_sees_only_the_windows_centred_there():
    reference = head((1, 32, 32))
    prediction = reference.copy()
    prediction[0, :, :10] += 50
    mask = np.zeros(reference.shape, dtype=bool)
    mask[0, 8:24, 16:] = True  # windows there begin at column 13
    assert ssim(prediction, reference, mask) == pytest.approx(1.0)
    assert ssim(prediction, reference) < 0.95


def test_foreground_metrics_ignore_errors_in_the_background():
    reference = head()
    prediction = np.where(foreground(reference), reference, 30.0)
    result = evaluate(prediction, reference)
    assert result.psnr_foreground == math.inf
    assert result.nmse_foreground == 0.0
    assert result.psnr < 20


def test_foreground_is_bright_voxels_and_the_holes_they_enclose():
    reference = np.zeros((2, 32, 32))
    reference[0, 4:28, 4:28] = 100.0
    reference[0, 12:20, 12:20] = 1.0  # ventricle: dark but inside
    reference[0, 0, :] = 8.0  # faint noise outside
    reference[1, 0:32, 4:28] = 100.0
    mask = foreground(reference)
    expected = np.zeros_like(mask)
    expected[0, 4:28, 4:28] = True
    expected[1, :, 4:28] = True
    assert np.array_equal(mask, expected)


def test_one_bright_artefact_does_not_empty_the_foreground():
    reference = head()
    plain = foreground(reference)
    reference[0, 16, 16] = 1e6
    assert np.array_equal(foreground(reference), plain)


def same(image, kernel):
    """MATLAB's "same" convolution, as in the published code: even kernels lie unlike in SciPy's."""
    return np.rot90(convolve2d(np.rot90(image, 2), np.rot90(kernel, 2), mode="same"), 2)


def haarpsi_by_the_paper(x, y, c=5.0, alpha=4.9):
    """HaarPSI of 0-255 images from 2-D filters, as the paper writes it."""
    x, y = (same(image, np.full((2, 2), 0.25))[::2, ::2] for image in (x, y))
    numerator = denominator = 0.0
    for direction in (0, 1):
        details = []
        for level in (1, 2, 3):
            kernel = np.full((2**level, 2**level), 2.0**-level)
            kernel[: 2 ** (level - 1)] *= -1
            kernel = kernel.T if direction else kernel
            details.append([np.abs(same(image, kernel)) for image in (x, y)])
        local = sum((2 * a * b + c) / (a**2 + b**2 + c) for a, b in details[:2]) / 2
        weight = np.maximum(*details[2])
        numerator += np.sum(weight / (1 + np.exp(-alpha * local)))
        denominator += np.sum(weight)
    mean = numerator / denominator
    return (np.log(mean / (1 - mean)) / alpha) ** 2


def test_haarpsi_looks_at_blocks_so_equal_block_means_are_equal():
    coarse = volume(4, (1, 16, 20))
    repeated = coarse.repeat(2, axis=1).repeat(2, axis=2)
    chequered = repeated + 3 * (-1) ** np.add.outer(np.arange(32), np.arange(40))
    assert haarpsi(chequered, repeated) == pytest.approx(1.0)


def test_haarpsi_equals_the_paper_s_two_dimensional_filters():
    reference = volume(3, (2, 33, 40))
    reference *= 255 / reference.max()
    prediction = reference + np.random.default_rng(4).normal(0, 15, reference.shape)
    expected = np.mean(
        [haarpsi_by_the_paper(x, y) for x, y in zip(prediction, reference, strict=True)]
    )
    assert haarpsi(prediction, reference) == pytest.approx(expected, rel=1e-9)
    assert 0.1 < expected < 0.99


def test_haarpsi_falls_as_noise_grows_and_empty_slices_count_as_equal():
    reference = np.concatenate([head(), np.zeros((1, 32, 32))])
    noise = np.random.default_rng(5).normal(size=reference.shape)
    noise[-1] = 0
    values = [haarpsi(reference + sigma * noise, reference) for sigma in (0, 1, 4, 16)]
    assert values[0] == pytest.approx(1.0)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("prediction", "reference", "words"),
    [
        (np.ones((1, 8, 8)), np.ones((1, 8, 9)), "shapes differ"),
        (np.ones((8, 8)), np.ones((8, 8)), "stack of slices"),
        (np.ones((9, 6, 9)), np.ones((9, 6, 9)), "smaller than the 7x7"),
        (np.full((1, 8, 8), np.nan), np.ones((1, 8, 8)), "not finite"),
        (np.ones((1, 8, 8)), np.zeros((1, 8, 8)), "no value above zero"),
    ],
)
def test_what_cannot_be_measured_is_refused(prediction, reference, words):
    with pytest.raises(ValueError, match=words):
        evaluate(prediction, reference)
