"""Whether slices were interpolated before, by whatever means.

`iconet.upscaling.recovery` finds zeros in k-space, which splines and straight lines do not leave.
These leave other traces. Each is looked for along both axes:

- A finer grid by a whole factor of 2 holds every frequency twice: at k and, weaker, at k plus half
  of the samples. The phase between both is the same on all lines; in any other image it is random.
- New pixels between the old ones are smoother than those beside them. So the size of second
  differences has the rhythm of the old grid, whatever the factor
  (Gallagher, Canadian Conference on Computer and Robot Vision 2005).
- Where all is smooth the upper quarter of the band is empty.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""Pixels along each side that are looked at, about the middle; more tell nothing more."""

LEAST = 48
"""Rows and columns that tell anything."""

COHERENT = 0.35
"""Length of the mean phasor between both copies. Of 35 scans and their degraded versions up to
0.14, of scans interpolated twofold in eight ways 0.59 and more."""

RHYTHM = 10.0
"""Times that a peak in the spectrum of second differences exceeds the median: up to 5.5 of scans,
12 and more of those that were interpolated by other factors."""

EMPTY = 7.5
"""Natural logarithm of how much weaker the upper quarter of the band is than its middle: up to 6.6
of scans, blurred ones too; 8.5 and more after cubic splines."""

COPY, MIDDLE, UPPER = (0.08, 0.42), (0.3, 0.45), (0.75, 0.95)
"""Frequencies that are compared: the first as shares of the samples, the others of Nyquist."""


def is_interpolated(slices: Sequence[NDArray[np.float32]], *, undone: bool = False) -> bool:
    """Whether slices have the traces along both axes.

    Args:
        slices: (H, W) each, as stored, finite and not constant.
        undone: whether an empty band was found and will be left out: then it tells nothing.
    """
    if not slices or min(slices[0].shape) < LEAST:
        return False
    parts = [
        slice(max(0, n - SIDE) // 2, max(0, n - SIDE) // 2 + min(n, SIDE) // 2 * 2)
        for n in slices[0].shape
    ]
    stack = np.stack([image[tuple(parts)] for image in slices])
    spectrum = _spectrum(stack)
    return all(
        _coherence(np.moveaxis(spectrum, axis, -1)) > COHERENT
        or _rhythm(np.moveaxis(stack, axis, -1)) > RHYTHM
        or (not undone and _fall(spectrum, axis - 1) > EMPTY)
        for axis in (1, 2)
    )


def _spectrum(stack: NDArray[np.float32]) -> NDArray[np.complex64]:
    import torch

    y, x = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in stack.shape[1:])
    tapered = (stack - stack.mean(axis=(1, 2), keepdims=True)) * (y[:, None] * x)
    return torch.fft.fft2(torch.from_numpy(tapered.astype(np.float32))).numpy()


def _coherence(spectrum: NDArray[np.complex64]) -> float:
    """Of frequencies along the last axis with their copies, over the lower ones of the other."""
    count, size = spectrum.shape[1:]
    frequencies = np.arange(int(COPY[0] * size), int(COPY[1] * size))
    frequencies = frequencies[np.abs(frequencies - size / 4) > 2]  # there both are one
    lines = spectrum[:, 2 : max(8, count // 3)]
    product = lines[..., frequencies] * lines[..., (frequencies + size // 2) % size].conj()
    phasors = product / np.maximum(np.abs(product), 1e-30)
    return float(np.median(np.abs(phasors.mean(axis=(0, 1)))))


def _rhythm(stack: NDArray[np.float32]) -> float:
    """Of second differences along the last axis."""
    second = 2 * stack[..., 1:-1] - stack[..., :-2] - stack[..., 2:]
    sizes = np.abs(second).mean(axis=(0, 1))
    logs = np.log(sizes + 1e-4 * sizes.max() + 1e-12)
    logs -= np.convolve(np.pad(logs, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    peaks = np.abs(np.fft.rfft(logs * np.hanning(len(logs))))
    fast = peaks[int(0.4 * len(peaks)) :]
    return float(fast.max() / max(np.median(fast), 1e-30))


def _fall(spectrum: NDArray[np.complex64], axis: int) -> float:
    from iconet.physics.spectrum import profile_along

    power = np.square(np.abs(spectrum)).mean(axis=0)[:, : spectrum.shape[2] // 2 + 1]
    profile = profile_along(power.astype(np.float64), axis, len(spectrum))
    share, logs = profile.frequency / profile.nyquist, profile.logpower_spectrum
    middle, upper = (logs[(low <= share) & (share <= high)] for low, high in (MIDDLE, UPPER))
    return float(middle.mean() - upper.mean()) if len(middle) and len(upper) else 0.0
