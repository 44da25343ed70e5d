"""Scanning Fourier ring correlation against what it must be."""

import numpy as np
import pytest

from iconet.evaluation.sfrc import PATCH, candidates, correlations, flagged


def texture(seed: int = 0, shape: tuple[int, ...] = (1, 96, 112)) -> np.ndarray:
    """Noise with a spectrum like anatomy's: the power falls with the frequency."""
    white = np.random.default_rng(seed).normal(size=shape)
    rows, columns = np.fft.fftfreq(shape[1]), np.fft.fftfreq(shape[2])
    falling = 1 / (0.02 + np.hypot(rows[:, None], columns))
    made = np.fft.ifft2(np.fft.fft2(white) * falling).real
    return 10 + made / made.std()


def test_the_same_image_correlates_wholly_and_nothing_is_flagged():
    image = texture()
    np.testing.assert_allclose(correlations(image[:, :PATCH, :PATCH], image[:, :PATCH, :PATCH]), 1)
    assert flagged(image, image, 2) == flagged(image, image, 4) == 0


def test_scale_and_offset_of_intensities_do_not_matter_but_the_sign_does():
    patch = texture()[:, :PATCH, :PATCH]
    np.testing.assert_allclose(correlations(3 * patch + 7, patch), 1)
    np.testing.assert_allclose(correlations(-patch, patch), -1)


def test_images_that_share_nothing_correlate_about_zero():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 400, PATCH, PATCH))
    found = correlations(first, second)
    rings = np.arange(1, PATCH // 2)
    # The mean of 400 patches, each with about 2 pi r samples, half of them free.
    assert np.all(np.abs(found.mean(0)) < 4 / np.sqrt(400 * np.pi * rings / 2))
    assert flagged(first[:4] + 9, second[:4] + 9, 2) == 1


def test_signal_and_noise_of_equal_power_correlate_by_one_half():
    """FRC = S / (S + N) where both images hold the signal and a noise of their own."""
    rng = np.random.default_rng(2)
    signal, first, second = rng.normal(size=(3, 400, PATCH, PATCH))
    found = correlations(signal + first, signal + second)
    np.testing.assert_allclose(found[:, 4:].mean(0), 0.5, atol=0.02)


def test_only_patches_with_an_invented_structure_are_flagged():
    truth = texture(shape=(2, 96, 96))
    made = truth + 0.05 * texture(3, truth.shape)
    assert not candidates(made, truth, 2).any()
    y, x = np.mgrid[:96, :96]
    made[1] += 8 * np.exp(-((y - 40) ** 2 + (x - 56) ** 2) / 8)
    found = candidates(made, truth, 2)
    assert not found[0].any()
    starts = np.linspace(0, 96 - PATCH, found.shape[1])
    # The window hides what lies at a patch's edge.
    distance = np.maximum(np.abs(starts[:, None] + PATCH / 2 - 40), np.abs(starts + PATCH / 2 - 56))
    assert found[1][distance <= PATCH / 4].all()
    assert not found[1][distance >= PATCH / 2].any()


def test_missing_detail_is_flagged_where_the_scan_could_not_hold_it():
    truth = texture(shape=(1, 128, 128))
    kspace = np.fft.fft2(truth)
    kept = np.abs(np.fft.fftfreq(128)) <= 0.25
    low = np.fft.ifft2(kspace * np.outer(kept, kept)).real
    assert flagged(low, truth, 2) > 0.9
    assert flagged(low, truth, 4) == 0  # a scan of a quarter asks for less


def test_only_the_foreground_counts():
    truth = np.zeros((1, 96, 96))
    truth[:, :48] = texture(shape=(1, 48, 96))
    made = truth.copy()
    made[:, 64:] += np.random.default_rng(4).normal(0, 0.1, (1, 32, 96))
    assert flagged(made, truth, 2) == 0


@pytest.mark.parametrize("shape", [(1, PATCH, PATCH), (2, 41, 57)])
def test_every_size_is_covered_from_edge_to_edge(shape):
    truth, other = texture(shape=shape), texture(5, shape)
    assert candidates(other, truth, 2).all()
    dark = np.zeros(shape)
    assert flagged(dark, dark, 2) == 0
