"""Where a result has other detail than the truth: scanning Fourier ring correlation (sFRC).

Sources: Kc, Zeng, Soni and Badano, "sFRC for assessing hallucinations in medical image
restoration", arXiv 2603.04673, for the scanning of patches and for both thresholds; van Heel and
Schatz, Journal of Structural Biology 151, 2005, for the correlation on a ring |f| = r of spatial
frequencies, of the Fourier transforms X and Y of two images:

    FRC(r) = Re(sum X conj(Y)) / sqrt(sum |X|^2 sum |Y|^2)

The paper finds the frequency threshold from patches that readers had marked. Here it follows from
the acquisition, so that nobody chooses it: it lies just beyond the corners (sqrt 2) of the k-space
that the low-resolution scan holds, where no method has a measurement to lean on.
"""

import numpy as np
from numpy.typing import NDArray

from iconet.evaluation.metrics import foreground

PATCH = 32
"""Pixels of a side; patches overlap by half."""

CORRELATION = 0.5
"""Below this, detail is not that of the truth; the paper's value for super-resolution."""

BEYOND = 1.5
"""Times the highest frequency of the low-resolution scan: up to here it should be."""

CONVENTION = (
    f"sFRC (scanning Fourier ring correlation, arXiv 2603.04673): share of patches of {PATCH} x "
    f"{PATCH} pixels, overlapping by half, at least half of them foreground, Hann window, whose "
    f"correlation with the truth falls below {CORRELATION} at a frequency under {BEYOND} times the "
    "highest one of the low-resolution scan. They are candidates for hallucinations. Detail that "
    "is missing counts as detail that is invented does, and so does noise of the truth."
)


def flagged(prediction: NDArray, reference: NDArray, scale: int) -> float:
    """Share of the foreground's patches that are candidates for hallucinations.

    Args:
        prediction: (S, H, W), real; H and W at least `PATCH`.
        reference: the truth, same shape.
        scale: how many times fewer pixels the low-resolution scan has along each side.

    Returns:
        0 to 1; of all patches where none is foreground.
    """
    shown = candidates(prediction, reference, scale)
    inside = np.stack(
        [_patches(section).mean((-1, -2)) >= 0.5 for section in foreground(reference)]
    )
    return float(shown[inside].mean() if inside.any() else shown.mean())


def candidates(prediction: NDArray, reference: NDArray, scale: int) -> NDArray[np.bool_]:
    """Which patches are candidates: (S, rows of patches, columns of patches)."""
    frequencies = np.arange(1, PATCH // 2) / (PATCH // 2)  # of the rings, shares of Nyquist
    looked_at = frequencies < BEYOND / scale
    return np.stack(
        [
            (correlations(_patches(first), _patches(second))[..., looked_at] < CORRELATION).any(-1)
            for first, second in zip(prediction, reference, strict=True)
        ]
    )


def correlations(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """Fourier ring correlation of patches.

    Args:
        first: (..., `PATCH`, `PATCH`), real.
        second: same shape.

    Returns:
        (..., `PATCH` / 2 - 1), -1 to 1, of the rings 1, 2, ... cycles in a patch. Where neither has
        anything on a ring they agree (1), where one of them has nothing they do not (0).
    """
    x, y = _spectra(first), _spectra(second)
    rings = _rings()
    cross = (x * y.conj()).real.reshape(*x.shape[:-2], -1) @ rings
    powers = [(np.abs(each) ** 2).reshape(*x.shape[:-2], -1) @ rings for each in (x, y)]
    both = np.sqrt(powers[0] * powers[1])
    least = np.finfo(np.float64).tiny
    nothing = np.maximum(*powers) <= least
    return np.where(nothing, 1.0, cross / np.maximum(both, least))


def _patches(image: NDArray) -> NDArray:
    """(H, W) to (rows, columns, `PATCH`, `PATCH`), evenly spaced from edge to edge."""
    views = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH))
    rows, columns = (
        np.linspace(0, last - 1, -(-(last - 1) // (PATCH // 2)) + 1).round().astype(int)
        for last in views.shape[:2]
    )
    return views[np.ix_(rows, columns)]


def _spectra(patches: NDArray) -> NDArray[np.complex128]:
    patches = np.asarray(patches, np.float64)
    window = np.hanning(PATCH + 2)[1:-1]
    varying = patches - patches.mean((-1, -2), keepdims=True)
    return np.fft.fft2(varying * np.outer(window, window))


def _rings() -> NDArray[np.float64]:
    """(`PATCH` squared, `PATCH` / 2 - 1): 1 where a frequency belongs to a ring."""
    cycles = np.fft.fftfreq(PATCH) * PATCH
    radius = np.rint(np.hypot(cycles[:, None], cycles)).astype(int).ravel()
    return (radius[:, None] == np.arange(1, PATCH // 2)).astype(np.float64)
