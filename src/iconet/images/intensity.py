"""The value of a volume that stands for nothing."""

import numpy as np
from numpy.typing import NDArray


def dark_level(volume: NDArray) -> float:
    """The value that stands for nothing: 0, or the 5th percentile of a signed volume if negative.

    Networks know magnitudes, whose background is 0: a z-scored head or Hounsfield units come back
    worse than interpolated unless their background is put there. A percentile, because a few voxels
    of ringing below 0 must not lift the background of a magnitude image.
    """
    return min(0.0, float(np.percentile(volume, 5))) if volume.min() < 0 else 0.0
