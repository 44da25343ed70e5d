"""A picture of what every method made of one slice, with a zoom and the error."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iconet.evaluation.metrics import foreground

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOX_COLOUR = "#ffb000"
WHITE_PERCENTILE = 98.5
"""Of the foreground: bright fat may saturate, so that the brain is not all dark."""
ERROR_PERCENTILE = 97.0
"""Of the foreground: edges of the scalp may saturate, so that errors in the brain show."""
MARGIN = 4
"""Background pixels left around the subject."""


def panel(
    path: str | Path,
    images: Mapping[str, NDArray],
    truth: NDArray,
    *,
    captions: Mapping[str, str] | None = None,
    title: str = "",
    pixel_aspect: float = 1.0,
) -> None:
    """Draw methods side by side, the truth last: the slice, a detail, and the absolute error.

    All images share one grey scale and all error maps another. Empty background is trimmed; the
    detail is where the truth has much structure.

    Args:
        path: Picture file to write; the suffix says the format.
        images: Name to image ``(H, W)``, first row on top; on the truth's grid.
        truth: ``(H, W)``.
        captions: Name to a second line under the name, such as its PSNR.
        title: Above everything.
        pixel_aspect: Height of a pixel over its width, so that anatomy keeps its proportions.
    """
    from matplotlib.patches import Rectangle

    mask = foreground(truth[None])[0]
    frame = _trimmed(mask)
    mask, truth = mask[frame], truth[frame]
    images = {name: image[frame] for name, image in images.items()}
    columns = {**images, "Truth": truth}
    white = float(np.percentile(truth[mask], WHITE_PERCENTILE)) if mask.any() else 1.0
    errors = {name: np.abs(image - truth) for name, image in images.items()}
    inside = np.concatenate([error[mask] for error in errors.values()])
    worst = float(np.percentile(inside, ERROR_PERCENTILE)) if inside.any() else 1.0
    zoom = rows, cols = _most_structured(truth.clip(0, white), mask)

    figure, axes = _grid(len(columns), truth.shape, (rows, cols), pixel_aspect)
    grey: dict[str, Any] = {"vmin": 0, "vmax": white, "cmap": "gray", "aspect": "auto"}
    heat: dict[str, Any] = {"vmin": 0, "vmax": worst, "cmap": "inferno", "aspect": "auto"}
    line: dict[str, Any] = {"fill": False, "edgecolor": BOX_COLOUR}
    for column, (name, image) in enumerate(columns.items()):
        whole, detail, error = axes[column]
        whole.imshow(image, interpolation="bilinear", **grey)
        detail.imshow(image[zoom], interpolation="nearest", **grey)
        corner = (cols.start - 0.5, rows.start - 0.5)
        size = (cols.stop - cols.start, rows.stop - rows.start)
        whole.add_patch(Rectangle(corner, *size, linewidth=1.2, **line))
        detail.add_patch(Rectangle((0, 0), 1, 1, transform=detail.transAxes, linewidth=2, **line))
        _label(whole, name, 20, fontsize=12, fontweight="bold")
        _label(whole, (captions or {}).get(name, ""), 6, fontsize=10)
        if name in errors:
            heat_map = error.imshow(errors[name], interpolation="bilinear", **heat)
    scale = error.inset_axes((0.08, 0.1, 0.06, 0.8))
    bar = figure.colorbar(heat_map, cax=scale, extend="max")
    bar.set_label("absolute error,\nin the scan's units", fontsize=10)
    bar.ax.tick_params(labelsize=9)
    figure.text(0.5, 1 - 0.2 / figure.get_figheight(), title, ha="center", va="center", fontsize=12)
    figure.savefig(path, dpi=110)


def _grid(
    columns: int, shape: tuple[int, ...], zoom: tuple[slice, slice], pixel_aspect: float
) -> "tuple[Figure, list[list[Axes]]]":
    """A figure, and for each column its axes from the top: the slice, the detail, the error."""
    from matplotlib.figure import Figure

    width, gap, top, bottom = 2.35, 0.06, 0.95, 0.15  # inches
    sizes = [shape, [part.stop - part.start for part in zoom], shape]
    heights = [width * size[0] * pixel_aspect / size[1] for size in sizes]
    total_width = columns * (width + gap) + gap
    total_height = top + sum(heights) + 2 * gap + bottom
    figure = Figure(figsize=(total_width, total_height), facecolor="white")

    def place(column: int, row: int) -> "Axes":
        left = gap + column * (width + gap)
        low = bottom + sum(heights[row + 1 :]) + (2 - row) * gap
        inches = np.array([left, low, width, heights[row]])
        axes = figure.add_axes(inches / ([total_width, total_height] * 2))
        axes.set_axis_off()
        return axes

    return figure, [[place(column, row) for row in range(3)] for column in range(columns)]


def _label(axes: "Axes", text: str, points: float, **style: Any) -> None:
    """Text centred above an image, ``points`` away."""
    style |= {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, (0.5, 1), (0, points), ha="center", **style)


def _trimmed(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns that hold the subject, with a margin; everything if there is none."""
    if not mask.any():
        return slice(None), slice(None)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, rows[0] - MARGIN), rows[-1] + 1 + MARGIN),
        slice(max(0, columns[0] - MARGIN), columns[-1] + 1 + MARGIN),
    )


def _most_structured(truth: NDArray, mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The square, a quarter of the shorter side, with most gradient well inside the subject."""
    from scipy.ndimage import distance_transform_edt, sobel, uniform_filter

    side = max(4, min(truth.shape) // 4)
    gradient = np.hypot(sobel(truth.astype(float), 0), sobel(truth.astype(float), 1))
    # The scalp has the strongest edges but is not what one looks at.
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deep = depth >= min(0.8 * side, depth.max())
    score = np.where(deep, uniform_filter(gradient, side, mode="constant"), -1)
    centre = np.unravel_index(int(score.argmax()), truth.shape)
    rows, columns = (
        int(np.clip(c - side // 2, 0, length - side))
        for c, length in zip(centre, truth.shape, strict=True)
    )
    return slice(rows, rows + side), slice(columns, columns + side)
