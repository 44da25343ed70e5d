"""How noisy slices are, from the differences of neighbouring pixels."""

import numpy as np
from numpy.typing import NDArray

TISSUE = 0.1
"""Share of what is bright above which a pixel is no air."""

FEWEST = 64
"""Pixels of tissue; fewer tell nothing."""

SIGMA = 0.6745
"""Median of the absolute values of a normal distribution, in standard deviations."""


def noise_of(image: NDArray, least: float = TISSUE) -> float | None:
    """Standard deviation of the noise in the tissue of a slice.

    Second differences along both axes cancel what changes along one; fine texture is left and
    counts as noise. The median leaves edges out.

    Args:
        image: (H, W), real and finite.
        least: value above which a pixel is tissue.

    Returns:
        None where there is too little tissue.
    """
    diagonal = (image[1:, 1:] - image[1:, :-1] - image[:-1, 1:] + image[:-1, :-1]) / 2
    tissue = image[1:, 1:] > least
    if np.count_nonzero(tissue) < FEWEST:
        return None
    return float(np.median(np.abs(diagonal[tissue])) / SIGMA)
