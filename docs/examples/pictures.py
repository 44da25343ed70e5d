"""Figures of the examples: slices side by side, as people look at them."""

from collections.abc import Mapping

import nibabel
import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from iconet.pictures.view import upright

Box = tuple[float, float, float, float]
"""Left, top, width and height of a detail, as shares of the picture."""


def slice_of(scan: nibabel.Nifti1Image, axis: int = 2, at: float = 0.4) -> tuple[np.ndarray, float]:
    """A slice as a picture, and the height of its pixels over their width."""
    volume = np.asanyarray(scan.dataobj)
    return upright(volume, scan.affine, axis, round(at * (volume.shape[axis] - 1)))


def side_by_side(
    scans: Mapping[str, nibabel.Nifti1Image],
    *,
    axis: int = 2,
    at: float = 0.4,
    detail: Box | None = None,
    columns: int = 4,
) -> Figure:
    """The same slice of each scan, in the grey window of the last one; or a detail of it."""
    shown = {name: slice_of(scan, axis, at) for name, scan in scans.items()}
    white = np.percentile(list(shown.values())[-1][0], 99.3)
    figure, axes = _grid(len(shown), columns)
    for place, (name, (image, aspect)) in zip(axes, shown.items(), strict=False):
        image, aspect = _cut(image, detail), float(aspect)
        place.imshow(image, cmap="gray", vmin=0, vmax=white, aspect=aspect, interpolation="nearest")
        place.set_title(name, fontsize=10)
    return figure


def maps(
    images: Mapping[str, np.ndarray], *, largest: float, cmap: str, columns: int = 4
) -> Figure:
    """Pictures on one scale of colour: from 0, or from minus the largest for a diverging one."""
    figure, axes = _grid(len(images), 4)
    low = 0 if cmap in ("magma", "gray") else -largest
    for place, (name, image) in zip(axes, images.items(), strict=False):
        place.imshow(image, cmap=cmap, vmin=low, vmax=largest, interpolation="nearest")
        place.set_title(name, fontsize=10)
    return figure


def _grid(count: int, columns: int) -> tuple[Figure, np.ndarray]:
    columns = min(count, columns)
    rows = -(-count // columns)
    figure, axes = pyplot.subplots(
        *(rows, columns), figsize=(2.6 * columns, 3.3 * rows), squeeze=False, layout="constrained"
    )
    for place in axes.flat:
        place.set_axis_off()
    return figure, axes.ravel()


def _cut(image: np.ndarray, box: Box | None) -> np.ndarray:
    if box is None:
        return image
    height, width = image.shape
    left, top = round(box[0] * width), round(box[1] * height)
    return image[top : top + round(box[3] * height), left : left + round(box[2] * width)]
