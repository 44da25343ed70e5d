"""What becomes of lesions when an image loses resolution and is enlarged again.

**Kept or lost.** A lesion is a connected part of a mask. Its contrast is the mean inside minus the
median of a ring around it, both of the same image, so that a blur that darkens one and brightens
the other counts twice, as it does to the eye. It is lost where less than half of the true contrast
is left.

**Invented.** The same the other way round. A detector that knows no mask finds small spots in the
result that are as bright against their surroundings as lesions are. A spot is invented where the
truth has less than half of its contrast at the same voxels. Turned about, the detector finds spots
of the truth, lesions or not, that the result lacks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.upscaling.interval import Bounds

HALF = 0.5
"""Of a contrast, below which it counts as lost, and above which a voxel belongs to a lesion."""

GAP, RING = 1, 4
"""Pixels in plane from a lesion to its ring, and how wide that is."""

FEWEST = 3
"""Voxels; what is smaller is a fragment that resampling a mask leaves."""

REACH = 6
"""Pixels in plane to each side that are a spot's surroundings."""

Mask = NDArray[np.bool_]


class Lesion(NamedTuple):
    """A connected part of a mask, cut out of a stack of slices with its surroundings.

    Attributes:
        box: where, as slices of the stack.
        inside: its voxels in the box.
        near: these, and those in the gap around it.
        ring: voxels around it that belong to no lesion.
        volume: mm3.
    """

    box: tuple[slice, ...]
    inside: Mask
    near: Mask
    ring: Mask
    volume: float

    def contrast(self, image: NDArray) -> float:
        """Mean inside minus median of the ring, in the image's units."""
        here = image[self.box]
        return float(here[self.inside].mean() - np.median(here[self.ring]))

    def extent(self, image: NDArray, level: float) -> float:
        """Volume (mm3) of what is brighter than the ring by more than `level`."""
        here = image[self.box]
        bright = here > np.median(here[self.ring]) + level
        return float((bright & self.near).sum() * self.volume / self.inside.sum())


class Foreseen(NamedTuple):
    """What the bounds of a result said of the truth at some voxels.

    Attributes:
        mean: whether the truth's mean lies between the means of both bounds.
        voxels: share of the voxels whose true value lies between the bounds.
        width: mean distance between the bounds.
    """

    mean: bool
    voxels: float
    width: float


def find_lesions(mask: Mask, tissue: Mask, voxel: float) -> list[Lesion]:
    """The lesions of a mask that are more than fragments and have tissue around them.

    Args:
        mask: (S, H, W), all lesions.
        tissue: (S, H, W), where a ring may lie.
        voxel: mm3.
    """
    from scipy.ndimage import binary_dilation, find_objects, label

    numbers, _ = label(mask, np.ones((3, 3, 3)))
    beside = tissue & ~binary_dilation(mask, _plane(GAP))
    margin = (0, GAP + RING, GAP + RING)
    found = []
    for number, where in enumerate(find_objects(numbers), 1):
        box = tuple(
            slice(max(0, side.start - more), side.stop + more)
            for side, more in zip(where, margin, strict=True)
        )
        inside = numbers[box] == number
        near = binary_dilation(inside, _plane(GAP))
        ring = binary_dilation(inside, _plane(GAP + RING)) & beside[box]
        if (count := int(inside.sum())) >= FEWEST and ring.sum() >= count:
            found.append(Lesion(box, inside, near, ring, count * voxel))
    return found


def raised(image: NDArray) -> NDArray[np.float32]:
    """By how much each voxel is brighter than its surroundings in plane, (S, H, W).

    These are the median of every other pixel within `REACH`.
    """
    from scipy.ndimage import median_filter

    looked_at = np.zeros((2 * REACH + 1, 2 * REACH + 1), bool)
    looked_at[::2, ::2] = True
    image = np.asarray(image, np.float32)
    return image - np.stack([median_filter(each, footprint=looked_at) for each in image])


def find_spots(above: NDArray, tissue: Mask, least: float, largest: int) -> list[NDArray[np.intp]]:
    """Small connected parts of an image that are bright against their surroundings.

    Args:
        above: (S, H, W), what is `raised` of the image.
        tissue: where spots may lie.
        least: by how much each voxel is raised.
        largest: voxels; what is larger is no spot.

    Returns:
        Of each the flat numbers of its voxels.
    """
    from scipy.ndimage import label

    numbers, _ = label((above >= least) & tissue, np.ones((3, 3, 3)))
    flat = numbers.ravel()
    shown = np.flatnonzero(flat)
    shown = shown[np.argsort(flat[shown], kind="stable")]
    parts = np.split(shown, np.flatnonzero(np.diff(flat[shown])) + 1)
    return [part for part in parts if FEWEST <= len(part) <= largest]


def unmatched(
    above: NDArray, other: NDArray, spots: list[NDArray[np.intp]]
) -> list[NDArray[np.intp]]:
    """The spots of an image of whose contrast another has less than half; both `raised`."""
    above, other = np.ravel(above), np.ravel(other)
    return [spot for spot in spots if other[spot].mean() < HALF * above[spot].mean()]


def foreseen(truth: NDArray, bounds: Bounds, where: NDArray[np.intp]) -> Foreseen:
    """What bounds said of the truth at these voxels.

    Args:
        truth: (S, H, W).
        bounds: of the result.
        where: flat numbers of voxels.
    """
    true, lower, upper = (np.ravel(each)[where] for each in (truth, *bounds.both))
    return Foreseen(
        bool(lower.mean() <= true.mean() <= upper.mean()),
        float(np.mean((lower <= true) & (true <= upper))),
        float(np.mean(upper - lower)),
    )


def _plane(pixels: int) -> Mask:
    """Of a disk in plane."""
    y, x = np.mgrid[-pixels : pixels + 1, -pixels : pixels + 1]
    return (np.hypot(y, x) <= pixels + 0.5)[None]
