"""`iconet.show`: a scan before and after, side by side, in a notebook or as a figure."""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from iconet.errors import InputError
from iconet.images import Scan, scaled_affine, slice_axis_of
from iconet.images.in_memory import take
from iconet.pictures.grey import Window, window_of
from iconet.pictures.section import middle, planes_of, section_of, volume_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 420
"""Pixels of the views in a notebook."""

ROWS_DOWN = np.array([[0.0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
"""Shows an array in a viewer of scans as it is printed: its first axis downwards."""


def show(before: Any, after: Any) -> Any:
    """Look at a scan before and after, in one grey window.

    Args:
        before: a path, a nibabel image, a NumPy array, a torch tensor or a SimpleITK image.
        after: what `iconet.upscale` made of it, or anything over the same field of view.

    Returns:
        With ipyniivue (``pip install 'iconet[notebook]'``) a widget for notebooks: two views of
        three planes, with linked crosshairs and zoom. Without it, a matplotlib figure of the middle
        slices. A notebook shows it, and ``.savefig("picture.png")`` keeps it. Of a series you see
        the first volume. The patient's right is on the left.

    Raises:
        InputError: a scan cannot be read, the two have different fields of view, or neither
            library is installed.
    """
    scans = _one(before), _one(after)
    if min(scans[0].array.ndim, 3) != min(scans[1].array.ndim, 3):
        raise InputError("before and after: one is 2-D and the other not; give both of one scan")
    window = window_of(scans[0].first_volume)
    if _installed("ipyniivue"):
        return _linked(*scans, window)
    if _installed("matplotlib"):
        return _drawn(*scans, window)
    raise InputError(
        "iconet.show needs ipyniivue or matplotlib; they come with: pip install 'iconet[notebook]'"
    )


def _one(given: Any) -> Scan:
    scans = take(given).scans
    return scans[0]


def _installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None


def _linked(before: Scan, after: Scan, window: Window) -> Any:
    from ipyniivue import NiiVue
    from ipywidgets import HBox, Layout

    views = []
    for name, scan in (("before", before), ("after", after)):
        view = NiiVue(height=HEIGHT, is_radiological_convention=True)
        held = {"name": f"{name}.nii", "data": _nifti(scan, before)}
        view.load_volumes([{**held, "cal_min": window.low, "cal_max": window.high}])
        view.layout = Layout(width="50%")
        views.append(view)
    together = {"2d": True, "3d": True, "zoom_pan": True, "crosshair": True}
    views[0].broadcast_to(views[1], together)
    views[1].broadcast_to(views[0], together)
    return HBox(views)


def _nifti(scan: Scan, before: Scan) -> bytes:
    """The first volume as a file; arrays get an affine that gives both one field of view."""
    import nibabel

    volume = volume_of(scan)
    if scan.affine is not None:
        affine = scan.affine
    else:
        affine = scaled_affine(ROWS_DOWN, np.divide(volume.shape, volume_of(before).shape).tolist())
    return bytes(nibabel.Nifti1Image(volume.astype(np.float32, copy=False), affine).to_bytes())


def _drawn(before: Scan, after: Scan, window: Window) -> "Figure":
    from matplotlib import pyplot

    planes = planes_of(after, slice_axis_of(before))
    sizes = [section_of(after, across, 0).size for across in planes]
    widths, heights = [width for _, width in sizes], [height for height, _ in sizes]
    inches = 10 / sum(widths)
    tall = max(heights) * inches
    figure, axes = pyplot.subplots(
        *(2, len(planes)),
        squeeze=False,
        figsize=(10.4, 2 * tall + 0.6),
        gridspec_kw={"width_ratios": widths},
        facecolor="black",
        layout="constrained",
    )
    for row, (name, scan) in enumerate((("Before", before), ("After", after))):
        for column, across in enumerate(planes):
            _draw(axes[row, column], scan, across, middle(after, across), window)
        axes[row, 0].set_title(name, color="white", loc="left", fontsize=10)
    pyplot.close(figure)  # else a notebook shows it twice
    return figure


def _draw(axes: "Axes", scan: Scan, across: int, share: float, window: Window) -> None:
    section = section_of(scan, across, share)
    height, width = section.size
    axes.imshow(
        window.grey(section.image),
        extent=(0, width, height, 0),
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.set_axis_off()
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.97), (0.5, 0.03))
    for letter, (x, y) in zip(section.view.sides or (), places, strict=False):
        axes.text(
            *(x, y, letter),
            transform=axes.transAxes,
            color="#ffd54a",
            ha={0.02: "left", 0.98: "right"}.get(x, "center"),
            va={0.97: "top", 0.03: "bottom"}.get(y, "center"),
        )
