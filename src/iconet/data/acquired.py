"""What a scanner really measured of an image that it enlarged before storing it."""

import itertools

import numpy as np
import numpy.typing as npt

DROP = 0.8  # decades of power lost ...
WITHIN = 0.2  # ... within this part of the Nyquist frequency: no anatomy falls so steeply
BINS = 40


def acquired_matrix(stack: npt.NDArray[np.float32]) -> tuple[int, int]:
    """Matrix size to which slices can be reduced in k-space without losing measured signal.

    Scanners zero-fill k-space, often along the phase-encoding axis only, and store a larger
    matrix. The power along an axis then falls off a cliff where the measurement ended. A
    super-resolution target must not contain the empty band: a low-resolution image made from it
    would lack nothing.

    Args:
        stack: (S, H, W) slices.

    Returns:
        Rows and columns up to the middle of the cliff, even; (H, W) where there is none.
    """
    # The middle half of the stack: slices beyond the head hold only noise.
    middle = stack[len(stack) // 4 : max(len(stack) // 4 + 1, 3 * len(stack) // 4)]
    power = np.zeros(stack.shape[1:])
    for image in middle:
        power += np.abs(np.fft.fft2(image)) ** 2
    rows, columns = stack.shape[1:]
    return (_extent(power.sum(axis=1), rows), _extent(power.sum(axis=0), columns))


def _extent(power: npt.NDArray[np.float64], length: int) -> int:
    # An image without any power, or too small for a spectrum, is left as it is.
    nyquist = length // 2
    if nyquist <= BINS or not power[1:].any():
        return length
    half = (power[1:nyquist] + power[-1:-nyquist:-1]) / 2
    edges = np.linspace(0, nyquist - 1, BINS + 1).round().astype(int)
    means = np.array([half[a:b].mean() for a, b in itertools.pairwise(edges)])
    profile = np.log10(means + means.max() * 1e-9)
    reach = round(WITHIN * BINS / 2)
    span = range(BINS // 2, BINS)  # anatomy alone may fall steeply at lower frequencies
    drops = [profile[i - reach] - profile[min(i + reach, BINS - 1)] for i in span]
    if max(drops) < DROP:
        return length
    fall = span[int(np.argmax(drops))]
    steps = (-np.diff(profile[fall - reach : fall + reach + 1])).clip(min=0)
    # The centre of gravity of the fall: exact for a sharp cliff, the middle of a tapered one.
    cliff = fall - reach + 1 + float(np.average(np.arange(len(steps)), weights=steps))
    return min(length, 2 * round(length * cliff / BINS / 2))
