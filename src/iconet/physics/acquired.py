"""What a scan holds of k-space: the acquisition matrix and the window, found in its spectrum.

Every band and every window is fitted to the spectrum (see `iconet.physics.spectrum`); one other
than the full band without a window must be clearly better than it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iconet.physics.cosines import cosines2, from_cosines2
from iconet.physics.kspace import resize_kspace
from iconet.physics.spectrum import (
    MISFIT,
    TINY,
    Profile,
    fit,
    fit_bands,
    power_spectrum,
    profile_along,
)
from iconet.physics.window import WINDOWS, Floats, Window, gain_at, window_named

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
CLEARLY = 2.5  # times as wrong as the other: then slices are no longer taken for periodic
# Hamming's edge needs 12.5. Tukey's and Fermi's fall late and far: what they leave there is mostly
# error of the fit (docs/experiments, 140).
MOST_GAIN = {"hamming": 10.0, "hann": 10.0, "fermi": 4.0, "tukey": 4.0}


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


def is_periodic(stack: NDArray[np.float32], found: Acquired) -> bool:
    """Whether the slices go on at one side as they end at the other, as far as can be told.

    Those of a scanner do, unless the field of view was cut afterwards. Taken for what they are not,
    they have power beyond the band, or ring at their borders once the window is undone.

    Args:
        stack: (S, H, W); a few slices in the middle are looked at.
        found: what they hold.
    """
    middle = stack[len(stack) // 3 : len(stack) // 3 + 4]
    images = torch.from_numpy(np.ascontiguousarray(middle, np.float32))
    rows, columns = images.shape[-2:]
    wrong = []
    for periodic in (True, False):
        if found.matrix == (rows, columns):
            change = (recover(images, found, periodic=periodic) - images).square()
            top, left = max(3, rows // 8), max(3, columns // 8)
            wrong.append(float(change.sum() - change[:, top:-top, left:-left].sum()))
        else:
            within = recover(images, found._replace(window=None), periodic=periodic).square().sum()
            share = rows * columns / (found.matrix[0] * found.matrix[1])
            wrong.append(float(images.square().sum() - share * within))
    return wrong[0] <= CLEARLY * wrong[1]


def _distances(size: tuple[int, ...], *, periodic: bool) -> list[Tensor]:
    """Of the frequencies of rows and columns from 0, in units of the Nyquist frequency."""
    if periodic:
        return [2 * torch.fft.fftfreq(n, dtype=torch.float64).abs() for n in size]
    return [torch.arange(n, dtype=torch.float64) / n for n in size]


def recover(images: Tensor, found: Acquired, *, periodic: bool = True) -> Tensor:
    """Slices on the grid that was acquired, without the window.

    The filter is Wiener's, G = W S / (W^2 S + N), with the signal's power S a power law of the
    radius and N half of the floor, both as found (Wiener, Extrapolation, Interpolation, and
    Smoothing of Stationary Time Series, 1949); at most `MOST_GAIN`, and 1 at DC. Corners that a
    radial window set to zero were not measured and stay as they are.

    Args:
        images: (..., H, W), real float32, 0 for no signal.
        found: the matrix, the window, and how much signal there is.
        periodic: see `is_periodic`; otherwise slices go on evenly beyond the field of view.

    Returns:
        (..., rows, columns) over the same field of view, with the means of `images`; beside sharp
        edges it can ring below 0.
    """
    size = images.shape[-2:]
    windowed = found.window is not None and found.window.name != "none"
    if not windowed and tuple(size) == found.matrix:
        return images
    inverse = torch.ones((), device=images.device)
    if windowed:
        inverse = _inverse(found, periodic).to(images)
    if periodic:
        images = resize_kspace(images, found.matrix)
        if not windowed:
            return images
        spectrum = torch.fft.rfft2(images) * inverse[:, : found.matrix[1] // 2 + 1]
        return torch.fft.irfft2(spectrum, s=found.matrix)
    scale = (found.matrix[0] * found.matrix[1] / (size[0] * size[1])) ** 0.5
    return from_cosines2(scale * cosines2(images, found.matrix) * inverse, found.matrix)


def signed(magnitudes: Tensor, matrix: tuple[int, int]) -> Tensor:
    """Gives interpolated magnitudes the sign back that they had before.

    Beside an edge the interpolation rings below 0, and the magnitude folds that up: power beyond
    the band that was acquired, and an error of half a decibel within it. A voxel changes its sign
    where that brings the image nearer to the band (after Fienup, Applied Optics 21:2758-2769,
    1982), most clearly wrong ones first.

    Args:
        magnitudes: (..., H, W), zero-filled from `matrix`.
        matrix: rows and columns.
    """
    image = magnitudes
    for share in (0.6, 0.5, 0.4):
        within = resize_kspace(resize_kspace(image, matrix), (image.shape[-2], image.shape[-1]))
        image = torch.where(within * image.sign() < share * magnitudes, -image, image)
    return image


@lru_cache(maxsize=4)
def _inverse(found: Acquired, periodic: bool) -> Tensor:
    """What undoes the window, at frequencies of the acquired matrix."""
    assert found.window is not None
    y, x = _distances(found.matrix, periodic=periodic)
    gain = torch.from_numpy(gain_at(found.window, y[:, None].numpy(), x.numpy()))
    radius = torch.hypot(y[:, None], x).clamp_min(1e-3)
    noise = FLOOR_SHARE * radius ** (-found.slope) / found.snr  # N / S
    inverse = torch.where(
        gain > 0, (gain / (gain**2 + noise)).clamp_max(MOST_GAIN[found.window.name]), 1.0
    )
    inverse[0, 0] = 1
    return inverse.float()
