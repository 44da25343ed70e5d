"""Values as grey: one window for all pictures that are compared."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.images.kind.kinds import CT
from iconet.intensity import levels_of_slice

SAMPLE = 250_000
"""Voxels that tell the window; more tell nothing more."""

BRIGHTEST, WHITE = 0.005, 0.98
"""Share of the voxels that are left out, such as metal; and of those above the mean of the others
that are not yet white: bright fat must not darken a brain."""

SOFT_TISSUE = (-160.0, 240.0)
"""HU: what a CT is looked at with before one knows what is looked for, width 400, level 40."""


class Window(NamedTuple):
    """The values that are drawn black and white; what is beyond is drawn so too."""

    low: float
    high: float

    def grey(self, image: NDArray) -> NDArray[np.uint8]:
        """An image in 256 shades; NaN is black."""
        shade = (np.asarray(image, np.float64) - self.low) * (255 / (self.high - self.low))
        return np.nan_to_num(shade, nan=0).clip(0, 255).round().astype(np.uint8)


def window_of(volume: NDArray, kind: str | None = None) -> Window:
    """The window for a volume.

    Args:
        volume: real, of any shape; NaN does not count.
        kind: of image, a name of `iconet.images.kind.kinds`.

    Returns:
        That of soft tissue for CT, else from what stands for nothing to what is bright.
    """
    if kind == CT:
        return Window(*SOFT_TISSUE)
    values = np.sort(sample_of(volume))
    values = values[: len(values) - int(np.ceil(len(values) * BRIGHTEST))]
    if not values.size or values.min() == values.max():
        level = float(values[0]) if values.size else 0.0
        return Window(min(level, 0.0), max(level, 0.0) or min(level, 0.0) + 1.0)
    low, brightest = levels_of_slice(values)
    bright = values[values > values.mean(dtype=np.float64)]
    high = float(np.quantile(bright, WHITE)) if bright.size else brightest
    return Window(low, high if high > low else brightest)


def sample_of(volume: NDArray) -> NDArray:
    """Finite values from all over a volume."""
    step = max(1, int((volume.size / SAMPLE) ** (1 / volume.ndim)))
    values = volume[(slice(None, None, step),) * volume.ndim]
    return np.asarray(values[np.isfinite(values)])
