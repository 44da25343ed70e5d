"""What was acquired is found in the spectrum, and a full band without window is left alone."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iconet import zoo
from iconet.errors import InputError
from iconet.images import read
from iconet.physics.acquired import Acquired, acquired, recover
from iconet.physics.blur import blur_and_resample
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import resize_kspace
from iconet.physics.noise import complex_noise
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.window import WINDOWS, Window, apply_window, window_gain, window_named

DEMO_SCAN = Path(zoo.__file__).parents[1] / "demo_scan" / "sub-01_T1w_slab.nii.gz"
SIZE = (144, 168)
named = st.sampled_from(["none", "hamming", "hann", "fermi", "tukey"])
seeds = st.integers(0, 2**31)


@cache
def scan() -> torch.Tensor:
    """Axial slices of the demonstration scan, reduced to a band that is full."""
    volume = torch.from_numpy(read(DEMO_SCAN).array.astype(np.float32))
    slices = volume.movedim(2, 0)
    return resize_kspace(slices[:: max(1, len(slices) // 12)], SIZE).abs()


def phantom(size: tuple[int, int], slices: int = 6) -> torch.Tensor:
    """Ellipses with sharp edges and a little noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    images = np.zeros((slices, *size))
    for image in images:
        for cy, cx, r in random.uniform([0.2, 0.2, 0.02], [0.8, 0.8, 0.3], (25, 3)):
            image += random.uniform(0.2, 1) * ((y - cy) ** 2 + (x - cx) ** 2 < r**2)
    noisy = images + 0.02 * random.standard_normal(images.shape)
    return torch.from_numpy(np.abs(noisy).astype(np.float32))


def acquire(
    image: torch.Tensor,
    matrix: tuple[int, int],
    window: Window | None,
    seed: int,
    stored: tuple[int, int] | None = None,
    noise: float = 0,
) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    phase = smooth_phase(image.shape, generator=generator)
    kspace = fft2c(resize_kspace(torch.polar(image, phase), matrix))
    kspace = kspace + complex_noise(kspace, noise * float(image.max()), generator)
    image = ifft2c(apply_window(kspace, window))
    return resize_kspace(image, stored or tuple(image.shape[-2:])).abs().numpy()


@settings(max_examples=15, deadline=None)
@given(st.floats(1.2, 3), st.floats(1.2, 3), named, st.sampled_from([0, 0.01, 0.02]), seeds)
def test_the_matrix_of_zero_filled_scans_is_found(rows, columns, name, noise, seed):
    matrix = (2 * round(SIZE[0] / rows / 2), 2 * round(SIZE[1] / columns / 2))
    found = acquired(acquire(scan(), matrix, window_named(name), seed, SIZE, noise))
    for got, true in zip(found.matrix, matrix, strict=True):
        assert got == pytest.approx(true, abs=max(2, 0.05 * true))
        assert got % 2 == 0


@pytest.mark.parametrize("name", ["none", "hamming", "hann", "fermi", "tukey"])
@pytest.mark.parametrize("matrix", [SIZE, (96, 168), (96, 100)])
def test_the_window_is_found(name, matrix):
    window = window_named(name)
    found = acquired(acquire(scan(), matrix, window, 3, SIZE, 0.01))
    assert (found.window.name if found.window else "none") == name


@settings(max_examples=15, deadline=None)
@given(st.integers(32, 144), st.integers(32, 168), st.sampled_from([0, 0.01, 0.03]), seeds)
def test_full_bands_are_left_alone(rows, columns, noise, seed):
    matrix = (rows, columns)
    stack = acquire(scan(), matrix, None, seed, noise=noise)
    for stored in (stack, np.round(stack * (1000 / stack.max()))):
        found = acquired(stored)
        assert found.matrix == matrix
        assert found.window is None or found.window.name == "none"


@pytest.mark.parametrize("size", [(160, 192), (130, 101), (82, 83), (80, 81), (64, 64), (24, 30)])
def test_phantoms_with_sharp_edges_are_left_alone(size):
    found = acquired(phantom(size).numpy())
    assert found.matrix == size
    assert found.window is None or found.window.name == "none"


@pytest.mark.parametrize("width", [0.8, 1.1, 1.4])
def test_a_light_blur_is_no_window(width):
    low = blur_and_resample(scan()[:, None], 2, 2 * width)[:, 0].numpy()
    found = acquired(low)
    assert found.matrix == (SIZE[0] // 2, SIZE[1] // 2)
    assert found.window is None or found.window.name == "none"


def test_one_side_missing_of_the_outer_band_is_no_smaller_matrix():
    kspace = fft2c(torch.polar(scan(), smooth_phase(scan().shape, generator=torch.Generator())))
    kspace[..., : SIZE[1] // 4] = 0
    assert acquired(ifft2c(kspace).abs().numpy()).matrix == SIZE


@pytest.mark.parametrize("image", ["zeros", "constant", "noise", "labels"])
@pytest.mark.parametrize("size", [(2, 2), (3, 31), (31, 200), (32, 32), (33, 47), (96, 128)])
@pytest.mark.parametrize("slices", [1, 5])
def test_what_has_no_anatomy_is_left_alone(image, size, slices):
    random = np.random.default_rng(0)
    shape = (slices, *size)
    stack = {
        "zeros": np.zeros(shape),
        "constant": np.full(shape, 7.0),
        "noise": np.abs(random.standard_normal(shape)),
        "labels": np.kron(random.integers(0, 4, shape), np.ones((1, 8, 8)))[
            :, : size[0], : size[1]
        ],
    }[image]
    found = acquired(stack.astype(np.float32))
    assert found.matrix == size
    assert found.window is None or found.window.name == "none"


def test_no_slices_at_all_hold_their_matrix():
    assert acquired(np.zeros((0, 64, 80), np.float32)) == Acquired((64, 80))


@settings(max_examples=10, deadline=None)
@given(named, st.floats(1e-3, 1e5), st.integers(1, 5))
def test_neither_scale_nor_empty_slices_matter(name, scale, empty):
    stack = acquire(scan(), (96, 140), window_named(name), 1, SIZE, 0.01)
    found = acquired(stack)
    zeros = np.zeros((empty, *SIZE), np.float32)
    other = acquired(np.concatenate([zeros, stack * np.float32(scale), zeros]))
    assert other.matrix == found.matrix
    assert other.window == found.window
    assert other.snr == pytest.approx(found.snr, rel=0.05)


def test_a_header_decides_where_the_spectrum_does_not_and_loses_where_it_contradicts():
    stack = acquire(scan(), (96, 120), None, 1, SIZE)
    assert acquired(stack, nominal=(96, 120)).matrix == (96, 120)
    assert acquired(stack, nominal=SIZE).matrix == pytest.approx((96, 120), abs=2)
    assert acquired(stack, nominal=(60, 140)).matrix == pytest.approx((96, 120), abs=2)
    full = acquire(scan(), SIZE, None, 1)
    assert acquired(full, nominal=(96, 120)).matrix == SIZE


def test_a_known_window_is_taken_at_its_word():
    stack = acquire(scan(), (96, 120), window_named("hamming"), 1, SIZE)
    found = acquired(stack, window="hann")
    assert found.window == Window("hann")
    assert acquired(stack, window="none").window is None
    with pytest.raises(InputError, match="boxcar"):
        acquired(stack, window="boxcar")


@pytest.mark.parametrize("word", [*WINDOWS, "elliptical", " Radial-Hamming "])
def test_windows_have_names(word):
    window = window_named(word)
    gain = window_gain(window, (32, 41))
    assert gain[16, 20] == 1
    assert 0 <= gain.min() <= gain.max() <= 1
    assert (window is None) == (word == "none")
    torch.testing.assert_close(apply_window(torch.ones(2, 32, 41), window)[1], gain)


def test_hamming_weighs_every_frequency_as_its_formula_says():
    gain = window_gain(Window("hamming"), (16, 16))
    assert gain[8, 0] == pytest.approx(0.08)
    assert gain[0, 0] == pytest.approx(0.08**2)
    assert gain[8, 12] == pytest.approx(0.54)
    assert window_gain(Window("hann", radial=True), (16, 16))[0, 0] == 0


@given(named, st.integers(16, 40), st.integers(16, 41), seeds)
def test_undoing_keeps_the_mean_and_applying_again_gives_the_input(name, height, width, seed):
    window = window_named(name)
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, height, width, generator=generator)
    windowed = ifft2c(apply_window(fft2c(image), window)).real
    undone = recover(windowed, Acquired((height, width), window, snr=1e6))
    torch.testing.assert_close(undone.mean((1, 2)), image.mean((1, 2)), rtol=1e-4, atol=1e-4)
    again = ifft2c(apply_window(fft2c(undone), window)).real
    # What a gain of at most 10 leaves is where the window is below 0.1.
    assert (again - windowed).square().mean().sqrt() < 0.01


def test_undoing_hamming_comes_closer_to_the_truth(device):
    half = (SIZE[0] // 2, SIZE[1] // 2)
    truth = resize_kspace(scan(), half)
    low = acquire(scan(), half, window_named("hamming"), 5)
    found = acquired(low)
    assert found.matrix == half
    undone = recover(torch.from_numpy(low).to(device), found).cpu()
    before, after = ((x - truth).square().mean() for x in (torch.from_numpy(low), undone))
    assert after < before / 4  # 6 dB


def test_no_window_changes_nothing():
    image = torch.rand(2, 16, 20)
    assert recover(image, Acquired((16, 20))) is image
    assert recover(image, Acquired((16, 20), window_named("elliptical"))) is image
