"""What a scan holds of k-space: the acquisition matrix and the window, found in its spectrum.

The power along an axis is modelled, for every frequency k, as::

    P(k) = (A(k) + n) W(k / K)^2 + F(k)

with anatomy A, a power law whose exponent changes slowly with log k; noise n of the receiver; the
window W over the acquired band K; and a floor F of what came after zero-filling (noise of
interpolation and rounding, and what the magnitude leaks beyond the band). Every K and every window
is fitted; one other than the full band without a window must be clearly better than it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iconet.errors import InputError

Floats = NDArray[np.float64]

# Gain over the radius of k-space, 0 the centre and 1 the edge of the acquired band.
WINDOWS: dict[str, Callable[[Floats], Floats]] = {
    "none": lambda x: np.ones_like(x),
    "hamming": lambda x: 0.54 + 0.46 * np.cos(np.pi * x.clip(0, 1)),
    "hann": lambda x: 0.5 + 0.5 * np.cos(np.pi * x.clip(0, 1)),
    "fermi": lambda x: 1 / (1 + np.exp((x - 0.9) / 0.05)),
    "tukey": lambda x: 0.5 + 0.5 * np.cos(np.pi * (2 * x - 1).clip(0, 1)),
}
SLICES = 16  # enough for a spectrum that is known to a few per cent
BINS = 128  # most frequencies per axis
SHORTEST = 32  # pixels; a spectrum of fewer says too little
SMALLEST_SHARE = 0.28  # of Nyquist: nobody zero-fills by more than 3.5
ALMOST_FULL = 0.94  # what is lost above it is not worth a smaller matrix
STRIP = 0.15  # of the other axis' frequencies: strong signal, far from a radial window's edge
MISFIT = 0.15  # natural logarithm of power: how well the model above describes anatomy
OUTLIER = 3.0  # in standard deviations, where Huber's loss becomes linear
# Evidence, as log-likelihood per frequency, that it takes to leave the full band without window:
# for a smaller band, with any window, and for a window over the full band. On real scans reduced to
# their full band other hypotheses gain up to 0.26 and 0.09.
BAND_MARGIN, WINDOW_MARGIN, SHAPE_MARGIN = 0.33, 0.2, 0.6
MARGIN = 8.0  # and at least in all
NAMED = 4.0  # for any window rather than none over the same band
MOST_GAIN = 10.0  # 20 dB; Hamming's edge needs 12.5

# What an edge of the band becomes: a taper of the image alone has the weights 1/6, 2/3 and 1/6; the
# phase, which the magnitude takes away, adds the tails.
SMEAR = np.array([2e-5, 2.5e-4, 3e-3, 0.16, 0.674, 0.16, 3e-3, 2.5e-4, 2e-5])

# Log power of A at K, its slope and curvature in log k; log n; log F at K and how it falls beyond.
_USUAL = np.array([0, -3.5, -0.45, 0, 0, 2.0])
_SPREAD = np.array([9, 0.4, 0.1, 6, 6, 3.0])


class Window(NamedTuple):
    """A k-space window: a name in `WINDOWS`, over each axis or over the elliptical radius.

    The radial one ends on the ellipse within the band; "none" and radial is the elliptical
    shutter, which leaves the corners of k-space unmeasured.
    """

    name: str
    radial: bool = False


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


class _Fit(NamedTuple):
    score: Floats  # (hypotheses): negative log posterior
    values: Floats  # (hypotheses, 6)


def window_named(name: str) -> Window | None:
    """The window of a user's word: one of `WINDOWS`, "elliptical", or these with "radial-".

    Raises:
        InputError: for any other word.
    """
    word = name.strip().lower()
    if word == "none":
        return None
    if word == "elliptical":
        return Window("none", radial=True)
    window = Window(word.removeprefix("radial-"), word.startswith("radial-"))
    if window.name not in WINDOWS or window.name == "none":
        known = ", ".join([*WINDOWS, "elliptical"])
        raise InputError(f"k-space window {name!r} is not known: choose {known}")
    return window


def window_gain(window: Window | None, size: tuple[int, int]) -> Tensor:
    """Gain (H, W) of a window over a band of that size, DC at (H//2, W//2); 1 there, in [0, 1]."""
    if window is None:
        return torch.ones(size)
    y, x = (np.abs(np.arange(n) - n // 2) / (n / 2) for n in size)
    shape = WINDOWS[window.name]
    if window.radial:
        radius = np.hypot(y[:, None], x)
        gain = shape(radius) * (radius <= 1)
    else:
        gain = shape(y)[:, None] * shape(x)
    return torch.from_numpy((gain / gain[size[0] // 2, size[1] // 2]).astype(np.float32))


def apply_window(kspace: Tensor, window: Window | None) -> Tensor:
    """Weighs k-space (..., H, W), DC at (H//2, W//2), which is the whole acquired band."""
    height, width = kspace.shape[-2:]
    return kspace * window_gain(window, (height, width)).to(kspace.device)


class _Profile(NamedTuple):
    """Power along an axis."""

    frequency: Floats  # (bins,), in cycles per field of view
    log_power: Floats  # (bins,), natural logarithm
    variance: float  # of it, where the model is right
    width: int  # frequencies per bin
    nyquist: float


def acquired(stack: NDArray[np.float32], *, nominal: tuple[int, int] | None = None) -> Acquired:
    """Finds the acquisition matrix and the k-space window of magnitude slices.

    Args:
        stack: (S, H, W), magnitudes, finite; the strongest slices are looked at.
        nominal: rows and columns that a header names; they decide where the spectrum alone does
            not, and lose where it clearly says otherwise.

    Returns:
        What was found; (H, W) and no window where the spectrum says nothing clear, and for slices
        with a side below 32 pixels.
    """
    size = (int(stack.shape[1]), int(stack.shape[2]))
    if min(size) < SHORTEST or not len(stack):
        return Acquired(size)
    power, slices = _power(stack)
    if not power.any():
        return Acquired(size)
    profiles = [_profile(power, axis, slices) for axis in (0, 1)]
    names = list(WINDOWS)
    total = np.zeros(len(names))
    bands, fits = [], []
    for axis, profile in enumerate(profiles):
        told = nominal[axis] / 2 if nominal is not None else None
        score, band, fit = _best_bands(profile, told)
        total += score
        bands.append(band)
        fits.append(fit)
    total[1:] += NAMED
    best = int(np.argmin(total))
    band = (float(bands[0][best]), float(bands[1][best]))
    matrix = tuple(
        n if 2 * k >= ALMOST_FULL * n else 2 * round(k) for k, n in zip(band, size, strict=True)
    )
    radial = _is_radial(power, slices, band, names[best])
    window = Window(names[best], radial) if best or radial else None
    values = np.mean([fit[best] for fit in fits], axis=0)
    snr = float(np.exp(min(values[0] - values[4], 50.0)))
    return Acquired((matrix[0], matrix[1]), window, snr, float(values[1].clip(-6, 0)))


def _power(stack: NDArray[np.float32]) -> tuple[Floats, int]:
    """Mean power (H, W//2 + 1) of the strongest slices, DC at (0, 0), and their number."""
    energy = np.array([float(np.var(image)) for image in stack])
    strong = np.flatnonzero(energy > energy.max() / 4)
    if not len(strong):
        return np.zeros(1), 0
    strong = strong[np.linspace(0, len(strong) - 1, min(SLICES, len(strong))).round().astype(int)]
    # Anatomy cut at the edges of the image would put power at all frequencies.
    y, x = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in stack.shape[1:])
    taper = (y[:, None] * x).astype(np.float32)
    power = np.zeros((stack.shape[1], stack.shape[2] // 2 + 1))
    for image in stack[strong]:
        spectrum = torch.fft.rfft2(torch.from_numpy((image - image.mean()) * taper))
        power += (spectrum.real**2 + spectrum.imag**2).numpy()
    return power / len(strong), len(strong)


def _profile(power: Floats, axis: int, slices: int) -> _Profile:
    """Power along an axis at low frequencies of the other one."""
    rows = power.shape[0]
    columns = 2 * (power.shape[1] - 1)
    if axis == 0:
        strip = 1 + round(STRIP * columns / 2)
        line = power[:, 1:strip].mean(axis=1)
        count = (rows - 1) // 2
        line = (line[1 : count + 1] + line[: -count - 1 : -1]) / 2
    else:
        strip = 1 + round(STRIP * rows / 2)
        line = (power[1:strip] + power[: -strip : -1]).mean(axis=0)[1 : (columns - 1) // 2 + 1] / 2
        count = len(line)
    first = max(3, round(0.05 * count)) - 1
    width = -(-count // BINS)
    bins = (count - first) // width
    first = count - bins * width
    frequency = np.arange(first + 1, count + 1).reshape(bins, width).mean(axis=1)
    means = line[first:].reshape(bins, width).mean(axis=1)
    log_power = np.log(means + power.max() * 1e-14 + 1e-300)
    samples = 2 * slices * (strip - 1) * width
    nyquist = (rows if axis == 0 else columns) / 2
    return _Profile(frequency, log_power, 2 / samples + MISFIT**2, width, nyquist)


def _best_bands(profile: _Profile, told: float | None) -> tuple[Floats, Floats, Floats]:
    """Score, band and values of the fit for every window, at the band that suits it best."""
    nyquist, bins = profile.nyquist, len(profile.frequency)
    smallest = max(SMALLEST_SHARE * nyquist, 8.0)
    grid = np.exp(np.arange(np.log(smallest), np.log(ALMOST_FULL * nyquist), 0.03))
    full = np.full(1, nyquist)
    found = []
    for name in WINDOWS:
        rough = _fit_bands(profile, name, grid, full).score
        around = np.exp(np.arange(-9, 10) * 0.005)
        fine = (grid[np.argmin(rough)] * around).clip(smallest, nyquist) if len(grid) else full
        if told is not None and smallest <= told:
            fine = np.append(fine, min(told, nyquist))
        smaller = _fit_bands(profile, name, fine, full)
        whole = _fit_bands(profile, name, full, np.append(grid[::2], nyquist))
        band_cost = smaller.score + max(MARGIN, BAND_MARGIN * bins)
        full_cost = whole.score.min()
        if name != "none":
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


def _fit_bands(profile: _Profile, name: str, bands: Floats, partials: Floats) -> _Fit:
    """Fits the model for a window, each of some bands and each end of a partial Fourier half."""
    band, partial = (field.reshape(-1, 1) for field in np.meshgrid(bands, partials))
    half = (profile.width - 1) / 2
    first, last = profile.frequency[0] - half, profile.frequency[-1] + half
    reach = len(SMEAR) // 2
    every = np.abs(np.arange(first - reach, last + reach + 1))
    every = np.minimum(every, 2 * profile.nyquist - every)

    def inside(end: Floats) -> Floats:
        return np.where(end < profile.nyquist - 0.1, (end - every + 0.5).clip(0, 1), 1)

    power = WINDOWS[name](every / band) ** 2 * inside(band)
    # One side alone, at half the amplitude in a magnitude.
    power *= 0.25 + 0.75 * inside(partial)
    power = np.lib.stride_tricks.sliding_window_view(power, len(SMEAR), axis=1) @ SMEAR
    gain = power.reshape(len(power), -1, profile.width).mean(axis=2)
    return _fit(profile.frequency / band, gain, profile.log_power, profile.variance)


def _fit(radius: Floats, gain: Floats, log_power: Floats, variance: float | Floats) -> _Fit:
    """Levenberg-Marquardt for all hypotheses at once, with Huber's loss.

    Args:
        radius: (hypotheses, bins), frequency over the band.
        gain: (hypotheses, bins), the window squared.
        log_power: (bins,).
        variance: of it.
    """
    log_radius = np.log(radius)
    beyond = log_radius.clip(0)
    usual = np.tile(_USUAL, (len(radius), 1))
    usual[:, 0] = [np.interp(0.7, row, log_power) - 1 for row in radius]
    low = np.sort(log_power)[: max(3, len(log_power) // 20)].mean()
    usual[:, 3:5] = low - 1
    values = usual.copy()

    def evaluate(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        level, slope, curve, noise, floor, fall = values.T[:, :, None]
        anatomy = np.exp((level + (slope + curve * log_radius) * log_radius).clip(-80, 80)) * gain
        receiver = np.exp(noise.clip(-80, 80)) * gain
        after = np.exp((floor - fall * beyond).clip(-80, 80))
        total = anatomy + receiver + after
        a, f = anatomy / total, after / total
        slopes = np.stack([a, a * log_radius, a * log_radius**2, receiver / total, f, -f * beyond])
        residual = log_power - np.log(total)
        size = np.abs(residual) / np.sqrt(variance)
        loss = np.where(size < OUTLIER, size**2 / 2, OUTLIER * (size - OUTLIER / 2)).sum(axis=1)
        loss += (((values - usual) / _SPREAD) ** 2).sum(axis=1) / 2
        weight = 1 / np.maximum(size / OUTLIER, 1) / variance
        return loss, slopes, residual, weight

    score, slopes, residual, weight = evaluate(values)
    damping = np.full(len(radius), 1e-2)
    for _ in range(10):
        weighted = (slopes * weight).transpose(1, 0, 2)
        normal = weighted @ slopes.transpose(1, 2, 0) + np.diag(_SPREAD**-2)
        descent = (weighted @ residual[:, :, None])[:, :, 0] - (values - usual) / _SPREAD**2
        normal += np.eye(6) * (damping[:, None] * np.einsum("hii->hi", normal))[:, None]
        step = np.linalg.solve(normal, descent[:, :, None])[:, :, 0].clip(-3, 3)
        tried = evaluate(values + step)
        better = tried[0] < score
        damping = np.where(better, damping * 0.3, damping * 5)
        values[better] += step[better]
        score = np.where(better, tried[0], score)
        slopes = np.where(better[:, None], tried[1], slopes)
        residual = np.where(better[:, None], tried[2], residual)
        weight = np.where(better[:, None], tried[3], weight)
    return _Fit(score, values)


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
    log_power = np.log(means(power) + power.max() * 1e-14 + 1e-300)
    variance = 2 / (slices * count[count > 0]) + MISFIT**2
    both = means(radius)[None].repeat(2, axis=0)
    score = _fit(both, np.stack([separable, radial]), log_power, variance).score
    return bool(score[1] + max(MARGIN, SHAPE_MARGIN * 32) < score[0])


def undo_window(images: Tensor, found: Acquired) -> Tensor:
    """Undoes the window of slices that have been cropped to the acquired matrix.

    The filter is Wiener's, G = W S / (W^2 S + N), with the signal's power S a power law of the
    radius and N the floor, both as found; at most 10, and 1 at DC. Corners that a radial window
    set to zero were not measured and stay as they are.

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
    noise = radius ** (-found.slope) / found.snr  # N / S
    inverse = (gain / (gain**2 + noise)).clamp_max(MOST_GAIN)
    inverse = torch.where(gain > 0, inverse, torch.ones_like(inverse))
    inverse[height // 2, width // 2] = 1
    inverse = torch.fft.ifftshift(inverse)[:, : width // 2 + 1].to(images)
    return torch.fft.irfft2(torch.fft.rfft2(images) * inverse, s=(height, width))
