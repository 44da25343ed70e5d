"""What a scan holds of k-space: the acquisition matrix and the window, found in its spectrum.

Every band and every window is fitted to the spectrum (see `iconet.physics.spectrum`); one other
than the full band without a window must be clearly better than it.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iconet.physics.spectrum import (
    MISFIT,
    TINY,
    Profile,
    fit,
    fit_bands,
    power_spectrum,
    profile_along,
)
from iconet.physics.window import WINDOWS, Floats, Window, window_gain, window_named

SHORTEST = 32  # pixels; a spectrum of fewer says too little
SMALLEST_SHARE = 0.28  # of Nyquist: nobody zero-fills by more than 3.5
ALMOST_FULL = 0.94  # what is lost above it is not worth a smaller matrix
# Evidence, as log-likelihood per frequency, that it takes to leave the full band without window:
# for a smaller band, and for a window over the full band. On real scans reduced to their full band
# other hypotheses gain up to 0.26 and 0.09.
BAND_MARGIN, WINDOW_MARGIN = 0.33, 0.2
WINDOWED_BAND_MARGIN = 0.2  # in addition, for a window over a smaller band
MARGIN = 8.0  # and at least in all
# For a window rather than none over the same band. Hann's ends at zero, so noise hides where, and a
# larger one looks like any other window.
NAMED = {"none": 0.0, "hamming": 4.0, "hann": 10.0, "fermi": 4.0, "tukey": 4.0}
RADIAL_MARGIN = 19.0  # for a window over the radius rather than over each axis
STEP = 0.7  # natural logarithm of power that is at least lost at the end of the band
POOR = 20.0  # negative log-likelihood per frequency of what is no anatomy, such as a grid
FLOOR_SHARE = 0.5  # of the floor counts as noise; the rest is signal that the magnitude has moved
MOST_GAIN = 10.0  # 20 dB; Hamming's edge needs 12.5


class Acquired(NamedTuple):
    """What the slices hold.

    Attributes:
        matrix: rows and columns of the acquired band, even where smaller than the slices'.
        window: applied over that band; None for none.
        snr: power of the signal over that of the floor at the edge of the band, before the window.
        slope: exponent of the signal's power there, below 0.
    """

    matrix: tuple[int, int]
    window: Window | None = None
    snr: float = float("inf")
    slope: float = -3.0


def acquired(
    stack: NDArray[np.float32], *, nominal: tuple[int, int] | None = None, window: str = "auto"
) -> Acquired:
    """Finds the acquisition matrix and the k-space window of magnitude slices.

    Args:
        stack: (S, H, W), magnitudes, finite; the strongest slices are looked at.
        nominal: rows and columns that a header names; they decide where the spectrum alone does
            not, and lose where it clearly says otherwise.
        window: "auto" or, where it is known, a name for `window_named`.

    Returns:
        What was found; (H, W) and no window where the spectrum says nothing clear, and for slices
        with a side below 32 pixels.

    Raises:
        InputError: for a window of another name.
    """
    size = (int(stack.shape[1]), int(stack.shape[2]))
    known = None if window == "auto" else window_named(window)
    names = list(WINDOWS) if window == "auto" else [known.name if known else "none"]
    power, slices = power_spectrum(stack) if min(size) >= SHORTEST else (np.zeros(1), 0)
    if not power.any():
        return Acquired(size, known)
    total = np.array([NAMED[name] for name in names])
    bands, values = [], []
    for axis in (0, 1):
        told = nominal[axis] / 2 if nominal is not None else None
        profile = profile_along(power, axis, slices)
        score, band, value = _best_bands(profile, names, told)
        if score.min() > POOR * len(profile.frequency):
            return Acquired(size, known)
        total += score
        bands.append(band)
        values.append(value)
    best = int(np.argmin(total))
    rows, columns = (float(band[best]) for band in bands)
    found = known
    if window == "auto":
        radial = _is_radial(power, slices, (rows, columns), names[best])
        found = Window(names[best], radial) if radial or names[best] != "none" else None
    level, slope, _, _, floor, _ = np.mean([value[best] for value in values], axis=0)
    matrix = (_even(rows, size[0]), _even(columns, size[1]))
    return Acquired(matrix, found, float(np.exp(min(level - floor, 50))), min(float(slope), 0.0))


def _even(band: float, size: int) -> int:
    """The matrix of a band, in pixels."""
    return size if 2 * band >= ALMOST_FULL * size else 2 * round(band)


def _blurred(radius: Floats) -> Floats:
    """A blur of 1.2 pixels full width, as of processing: it counts as no window."""
    return np.exp(-1.3 * radius**2)


def _best_bands(
    profile: Profile, names: list[str], told: float | None
) -> tuple[Floats, Floats, Floats]:
    """Score, band and values of the fit for every window, at the band that suits it best.

    A full band counts as full where one side of its outer part is missing (partial Fourier).
    """
    nyquist, bins = profile.nyquist, len(profile.frequency)
    smallest = max(SMALLEST_SHARE * nyquist, 8.0)
    grid = np.exp(np.arange(np.log(smallest), np.log(ALMOST_FULL * nyquist), 0.03))
    full = np.full(1, nyquist)
    found = []
    for name in names:
        shape = WINDOWS[name]
        rough = fit_bands(profile, shape, grid, full, rounds=6).score
        around = np.exp(np.arange(-9, 10) * 0.005)
        fine = (grid[np.argmin(rough)] * around).clip(smallest, nyquist) if len(grid) else full
        if told is not None and smallest <= told:
            fine = np.append(fine, min(told, nyquist))
        smaller = fit_bands(profile, shape, fine, full)
        whole = fit_bands(profile, shape, full, np.append(grid[::2], nyquist))
        band_cost = smaller.score + max(MARGIN, BAND_MARGIN * bins)
        # A step down, not a spectrum that goes on with another slope.
        anatomy, noise, floor = smaller.values[:, [0, 3, 4]].T
        band_cost[np.logaddexp(anatomy, noise) - floor < STEP] = np.inf
        full_cost = whole.score.min()
        if name == "none":
            full_cost = min(full_cost, fit_bands(profile, _blurred, full, full).score[0])
        else:
            band_cost += WINDOWED_BAND_MARGIN * bins
            full_cost += max(MARGIN, WINDOW_MARGIN * bins)
        if told is not None:
            bonus = 0.75 * max(MARGIN, BAND_MARGIN * bins)
            band_cost[np.abs(fine - told) < 0.5] -= bonus
            full_cost -= bonus if told >= ALMOST_FULL * nyquist else 0
        best = int(np.argmin(band_cost))
        if band_cost[best] < full_cost:
            found.append((band_cost[best], fine[best], smaller.values[best]))
        else:
            found.append((full_cost, nyquist, whole.values[np.argmin(whole.score)]))
    score, band, values = zip(*found, strict=True)
    return np.array(score), np.array(band), np.array(values)


def _is_radial(power: Floats, slices: int, band: tuple[float, float], name: str) -> bool:
    """Whether a window falls with the radius of k-space, told from the corners of the band."""
    rows = np.fft.fftfreq(power.shape[0], 1 / power.shape[0])
    y = np.abs(rows)[:, None] / band[0]
    x = np.arange(power.shape[1]) / band[1]
    radius = np.hypot(y, x)
    diagonal = (np.abs(y - x) < 0.25) & (radius > 0.15) & (np.maximum(y, x) < 0.97)
    edges = np.linspace(0.15, 1.4, 33)
    where = np.digitize(radius[diagonal], edges) - 1
    count = np.bincount(where, minlength=32)[:32]

    def means(field: Floats) -> Floats:
        sums = np.bincount(where, field[diagonal], minlength=32)[:32]
        return sums[count > 0] / count[count > 0]

    shape = WINDOWS[name]
    separable = means((shape(y) * shape(x)) ** 2)
    radial = means(shape(radius) ** 2 * (radius <= 1))
    log_power = np.log(means(power) + power.max() * TINY + 1e-300)
    variance = 2 / (slices * count[count > 0]) + MISFIT**2
    both = means(radius)[None].repeat(2, axis=0)
    score = fit(both, np.stack([separable, radial]), log_power, variance).score
    return bool(score[1] + RADIAL_MARGIN < score[0])


def undo_window(images: Tensor, found: Acquired) -> Tensor:
    """Undoes the window of slices that have been cropped to the acquired matrix.

    The filter is Wiener's, G = W S / (W^2 S + N), with the signal's power S a power law of the
    radius and N half of the floor, both as found (Wiener, Extrapolation, Interpolation, and
    Smoothing of Stationary Time Series, 1949); at most 10, and 1 at DC. Corners that a radial
    window set to zero were not measured and stay as they are.

    Args:
        images: (..., H, W), real.
        found: the window, and how much signal there is.

    Returns:
        (..., H, W), with the means of `images`; beside sharp edges it can ring below 0.
    """
    if found.window is None or found.window.name == "none":
        return images
    height, width = images.shape[-2:]
    gain = window_gain(found.window, (height, width))
    y, x = (torch.arange(n) - n // 2 for n in (height, width))
    radius = torch.hypot(y[:, None] / (height / 2), x / (width / 2)).clamp_min(1e-3)
    noise = FLOOR_SHARE * radius ** (-found.slope) / found.snr  # N / S
    inverse = (gain / (gain**2 + noise)).clamp_max(MOST_GAIN)
    inverse = torch.where(gain > 0, inverse, torch.ones_like(inverse))
    inverse[height // 2, width // 2] = 1
    inverse = torch.fft.ifftshift(inverse)[:, : width // 2 + 1].to(images)
    return torch.fft.irfft2(torch.fft.rfft2(images) * inverse, s=(height, width))
