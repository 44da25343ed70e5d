"""The power spectrum of slices along an axis, and the model of it that tells its band and window.

The power is modelled, for every frequency k, as::

    P(k) = (A(k) + n) W(k / K)^2 + F(k)

with anatomy A, a power law whose exponent changes slowly with log k (natural images: Field, J Opt
Soc Am A 4:2379-2394, 1987); noise n of the receiver; the window W over the acquired band K; and a
floor F of what came after zero-filling: noise of interpolation and rounding, and what the magnitude
leaks beyond the band.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from iconet.physics.window import Floats, Shape

SLICES = 16  # enough for a spectrum that is known to a few per cent
BINS = 128  # most frequencies per axis
STRIP = 0.15  # of the other axis' frequencies: strong signal, far from a radial window's edge
MISFIT = 0.15  # natural logarithm of power: how well the model above describes anatomy
OUTLIER = 3.0  # in standard deviations, where Huber's loss becomes linear
TINY = 1e-14  # of the highest power: below what single precision tells from 0

# What an edge of the band becomes: a taper of the image alone has the weights 1/6, 2/3 and 1/6; the
# phase, which the magnitude takes away, adds the tails.
SMEAR = np.array([2e-5, 2.5e-4, 3e-3, 0.16, 0.674, 0.16, 3e-3, 2.5e-4, 2e-5])

# Log power of A at K, its slope and curvature in log k; log n; log F at K and how it falls beyond.
# Slope and curvature of 50 MR scans: -3.8 (standard deviation 0.6), -0.48 (0.17); narrower here, as
# the misfits of neighbouring frequencies are not independent.
_USUAL = np.array([0, -3.5, -0.45, 0, 0, 1.0])
_SPREAD = np.array([9, 0.4, 0.1, 6, 6, 1.0])


class Fit(NamedTuple):
    """The model fitted for several hypotheses."""

    score: Floats  # (hypotheses): negative log posterior
    values: Floats  # (hypotheses, 6): log A, its slope and curvature, log n, log F and how it falls


class Profile(NamedTuple):
    """Power along an axis."""

    frequency: Floats  # (bins,), in cycles per field of view
    logpower_spectrum: Floats  # (bins,), natural logarithm
    variance: float  # of it, where the model is right
    width: int  # frequencies per bin
    nyquist: float


def power_spectrum(stack: NDArray[np.float32]) -> tuple[Floats, int]:
    """Mean power (H, W//2 + 1) of the strongest slices, DC at (0, 0), and their number."""
    energy = np.array([float(np.var(image)) for image in stack])
    strong = np.flatnonzero(energy > energy.max(initial=0) / 4)
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


def profile_along(power: Floats, axis: int, slices: int) -> Profile:
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
        line = (power[1:strip] + power[:-strip:-1]).mean(axis=0)[1 : (columns - 1) // 2 + 1] / 2
        count = len(line)
    first = max(3, round(0.05 * count)) - 1
    width = -(-count // BINS)
    bins = (count - first) // width
    first = count - bins * width
    frequency = np.arange(first + 1, count + 1).reshape(bins, width).mean(axis=1)
    means = line[first:].reshape(bins, width).mean(axis=1)
    logpower_spectrum = np.log(means + power.max() * TINY + 1e-300)
    samples = 2 * slices * (strip - 1) * width
    nyquist = (rows if axis == 0 else columns) / 2
    return Profile(frequency, logpower_spectrum, 2 / samples + MISFIT**2, width, nyquist)


def fit_bands(
    profile: Profile, shape: Shape, bands: Floats, partials: Floats, rounds: int = 9
) -> Fit:
    """Fits the model for a window, each of some bands and each end of a partial Fourier half."""
    band, partial = (field.reshape(-1, 1) for field in np.meshgrid(bands, partials))
    half = (profile.width - 1) / 2
    first, last = profile.frequency[0] - half, profile.frequency[-1] + half
    reach = len(SMEAR) // 2
    every = np.abs(np.arange(first - reach, last + reach + 1))
    every = np.minimum(every, 2 * profile.nyquist - every)

    def inside(end: Floats) -> Floats:
        return np.where(end < profile.nyquist - 0.1, (end - every + 0.5).clip(0, 1), 1)

    power = shape(every / band) ** 2 * inside(band)
    # One side alone, at half the amplitude in a magnitude.
    power *= 0.25 + 0.75 * inside(partial)
    power = np.lib.stride_tricks.sliding_window_view(power, len(SMEAR), axis=1) @ SMEAR
    gain = power.reshape(len(power), -1, profile.width).mean(axis=2)
    return fit(profile.frequency / band, gain, profile.logpower_spectrum, profile.variance, rounds)


def fit(
    radius: Floats,
    gain: Floats,
    logpower_spectrum: Floats,
    variance: float | Floats,
    rounds: int = 9,
) -> Fit:
    """Levenberg-Marquardt for all hypotheses at once, with Huber's loss.

    Args:
        radius: (hypotheses, bins), frequency over the band.
        gain: (hypotheses, bins), the window squared.
        logpower_spectrum: (bins,).
        variance: of it, where the model is right.
        rounds: steps of the optimisation.
    """
    log_radius = np.log(radius)
    beyond = log_radius.clip(0)
    usual = np.tile(_USUAL, (len(radius), 1))
    usual[:, 0] = [np.interp(0.7, row, logpower_spectrum) - 1 for row in radius]
    low = np.sort(logpower_spectrum)[: max(3, len(logpower_spectrum) // 20)].mean()
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
        residual = logpower_spectrum - np.log(total)
        size = np.abs(residual) / np.sqrt(variance)
        loss = np.where(size < OUTLIER, size**2 / 2, OUTLIER * (size - OUTLIER / 2)).sum(axis=1)
        loss += (((values - usual) / _SPREAD) ** 2).sum(axis=1) / 2
        weight = 1 / np.maximum(size / OUTLIER, 1) / variance
        return loss, slopes, residual, weight

    score, slopes, residual, weight = evaluate(values)
    damping = np.full(len(radius), 1e-2)
    for _ in range(rounds):
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
    return Fit(score, values)
