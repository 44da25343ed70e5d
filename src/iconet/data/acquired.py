"""What a scanner really measured of an image that it enlarged before storing it."""

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
    if length < 2 * BINS or not power[1:].any():
        return length
    half = (power[1 : length // 2] + power[-1 : -(length // 2) : -1]) / 2
    profile = np.log10([part.mean() + power.max() * 1e-12 for part in np.array_split(half, BINS)])
    reach = round(WITHIN * BINS / 2)
    candidates = range(BINS // 2, BINS)
    drops = [profile[i - reach] - profile[min(i + reach, BINS - 1)] for i in candidates]
    if max(drops) < DROP:
        return length
    cliff = (candidates[int(np.argmax(drops))] + 0.5) / BINS
    return 2 * round(length * cliff / 2)
