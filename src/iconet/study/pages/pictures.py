"""The pictures of a page: the middle slices before and after, what was added, the spectrum.

All are of the first volume of a series. What a plane is shown with beside before and after is in
`_maps` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iconet.images import Scan, slice_axis_of
from iconet.images.kind.kinds import LABELS, MASK
from iconet.physics.spectrum import power_spectrum
from iconet.pictures.grey import Window, window_of
from iconet.pictures.png import Palette, encoded, reduced, thumbnail
from iconet.pictures.view import View, view_of
from iconet.upscaling.regrid import as_stack, positions
from iconet.upscaling.resampling import cosine_weights

SIDES = (1024, 720, 512)
"""Pixels a side of pictures, at most: the first with which all of them stay below `LARGEST`."""

LARGEST = 2_000_000
"""Bytes of all pictures; in a page they take a third more."""

SMALL = 512
"""Pixels a side of maps, which are smooth, at most."""

THUMBNAIL = 96
"""Pixels of the longer side of a thumbnail."""

ADDED = 0.1
"""Share of the grey window that the difference is drawn to: the same for all scans."""

SPECTRUM, DECIBELS = 256, 90
"""Pixels a side of a spectrum, and how far below its peak it is drawn."""

STRONG = 24
"""Slices that are looked at for a spectrum."""

HOT = np.array([[0, 0, 0], [220, 70, 20], [255, 190, 60], [255, 250, 220]])
COLD = np.array([[0, 0, 0], [30, 100, 220], [90, 200, 255], [225, 250, 255]])
NAMES = bytes.fromhex(
    "e6194b 3cb44b ffe119 0082c8 f58230 911eb4 46f0f0 f032e6 d2f53c fabebe 008080 dcbeff aa6e28"
    "fffac8 800000 aaffc3"
)
"""Colours of labels, three bytes each."""


@dataclass(frozen=True)
class Map:
    """What is drawn beside before and after.

    Attributes:
        title: of it.
        picture: PNG.
        legend: what the colours mean.
    """

    title: str
    picture: bytes
    legend: str


@dataclass(frozen=True)
class Plane:
    """A plane of the scan.

    Attributes:
        view: how it is turned.
        size: height and width, in millimetres or in new pixels.
        tilt: degrees between the slice and the plane that it is named after.
        slices: their indices before and after.
        before: PNG; None where there was no image before.
        after: PNG.
        maps: what else there is to see.
    """

    view: View
    size: tuple[float, float]
    tilt: float
    slices: tuple[int | None, int]
    before: bytes | None
    after: bytes
    maps: tuple[Map, ...]

    @property
    def bytes(self) -> int:
        """Of all pictures."""
        return sum(map(len, (self.before or b"", self.after, *(m.picture for m in self.maps))))


@dataclass(frozen=True)
class Spectrum:
    """The power spectrum of the slices, and what of it was there before.

    Attributes:
        before: PNG; None as of `Plane`.
        after: PNG.
        size: height and width of the after one, which holds all of the others, in cycles.
        stored: height and width of what the stored matrix could hold, as shares of that.
        acquired: of what was acquired; None where that is the same.
    """

    before: bytes | None
    after: bytes
    size: tuple[float, float]
    stored: tuple[float, float]
    acquired: tuple[float, float] | None


@dataclass(frozen=True)
class Pictures:
    """All pictures of a page.

    Attributes:
        window: the values that are black and white in all of them; None for labels.
        planes: the plane of the slices first.
        spectrum: None of labels.
        thumbnail: JPEG of the first plane, after.
    """

    window: Window | None
    planes: tuple[Plane, ...]
    spectrum: Spectrum | None
    thumbnail: bytes


def draw(before: Scan | None, after: Scan, report: Mapping[str, Any]) -> Pictures:
    """Draw the pictures of a scan.

    Args:
        before: as read; None of raw k-space.
        after: the result, over the same field of view.
        report: as `iconet.study.report` makes it.
    """
    plane = str((report.get("options") or {}).get("plane", "auto"))
    across = slice_axis_of(after if before is None else before, plane)
    drawing = _Drawing.of(before, after, (report.get("kind") or {}).get("name"))
    flat = after.array.ndim == 2
    axes = (across,) if flat else (across, *(axis for axis in (2, 1, 0) if axis != across))
    for side in SIDES:
        planes = tuple(drawing.plane(axis, side) for axis in axes)
        if sum(plane.bytes for plane in planes) < LARGEST:
            break
    return Pictures(
        None if drawing.labels else drawing.window,
        planes,
        None if drawing.labels else drawing.spectrum(across, report.get("acquired")),
        drawing.thumbnail(across),
    )


@dataclass(frozen=True)
class _Drawing:
    """A volume (I, J, K) before (None where there is no image) and after, and how it is drawn.

    Attributes:
        steps: from one new voxel to the next, in old ones, along each axis.
        lengths: of the field of view, in millimetres or in new voxels.
    """

    old: NDArray | None
    new: NDArray
    affine: NDArray | None
    dimensions: int
    steps: tuple[float, ...]
    lengths: tuple[float, ...]
    labels: bool
    window: Window

    @classmethod
    def of(cls, before: Scan | None, after: Scan, kind: str | None) -> "_Drawing":
        new = np.atleast_3d(after.first_volume)
        old = None if before is None else np.atleast_3d(before.first_volume)
        spacing = [*after.spacing, 1.0][:3]
        steps = np.ones(3)
        if before is not None and old is not None:
            placed = after.affine is not None
            steps = np.divide(spacing, [*before.spacing, 1.0][:3])
            steps = steps if placed else np.divide(old.shape, new.shape)
        return cls(
            *(old, new, after.affine, min(after.array.ndim, 3), tuple(map(float, steps))),
            tuple(float(mm) for mm in np.multiply(new.shape, spacing)),
            kind in (LABELS, MASK),
            window_of(new if old is None else old, kind),
        )

    def plane(self, across: int, side: int) -> Plane:
        """The middle one across an axis, with so many pixels a side at most."""
        view = view_of(self.affine, across, self.dimensions)
        index = self.new.shape[across] // 2
        old_index, before = None, None
        if self.old is not None:
            place = positions(self.old.shape[across], self.new.shape[across], self.steps[across])
            old_index = int(np.clip(round(place[index]), 0, self.old.shape[across] - 1))
            before = self._picture(view, as_stack(self.old, across)[old_index], side)
        return Plane(
            view,
            view.size(self.lengths),
            _tilt(self.affine, view),
            (old_index, index),
            before,
            self._picture(view, as_stack(self.new, across)[index], side),
            self._maps(view, index),
        )

    def _picture(self, view: View, image: NDArray, side: int) -> bytes:
        turned = view.turn(image)
        if self.labels:
            step = -(-max(turned.shape) // side)
            return encoded(*_named(turned[::step, ::step]))
        return encoded(reduced(self.window.grey(turned), side))

    def _maps(self, view: View, index: int) -> tuple[Map, ...]:
        """What else there is to see of a plane of the new grid."""
        if self.old is None or self.labels:
            return ()
        added = as_stack(self.new, view.across)[index] - self._interpolated(view.across, index)
        most = ADDED * (self.window.high - self.window.low)
        shades = reduced(Window(-most, most).grey(view.turn(added)), SMALL)
        legend = f"orange is brighter, blue is darker, white at {most:.3g}"
        return (Map("Difference from interpolation", encoded(shades, _diverging()), legend),)

    def _interpolated(self, across: int, index: int) -> NDArray:
        """A slice of the new grid, of the old values alone: their band, nothing beyond it."""
        assert self.old is not None
        span = self.window.high - self.window.low
        # What lies far outside, such as metal or padding, would ring through the whole picture.
        least, most = (np.float32(v) for v in (self.window.low - span / 4, self.window.high + span))
        weights = [
            cosine_weights(self.old.shape[axis], self.new.shape[axis], self.steps[axis])
            for axis in range(3)
        ]
        image = np.zeros(np.delete(self.old.shape, across), np.float32)
        for plane, share in zip(as_stack(self.old, across), weights[across][:, index], strict=True):
            if share:
                image += share * np.fmin(np.fmax(plane, least), most)  # NaN becomes the least
        rows, columns = (weights[axis] for axis in range(3) if axis != across)
        return rows.T @ image @ columns

    def spectrum(self, across: int, acquired: Mapping[str, Any] | None) -> Spectrum | None:
        """Of the slices; None where they are too small to have one."""
        view = view_of(self.affine, across, self.dimensions)
        after = _power(as_stack(self.new, across))
        before = None if self.old is None else _power(as_stack(self.old, across))
        peak = after.max() if before is None else max(before.max(), after.max())
        if not peak > 0:
            return None
        decibels = Window(-DECIBELS, 0)

        def picture(power: NDArray) -> bytes:
            level = 10 * np.log10(np.maximum(power / peak, 1e-30)).astype(np.float32)
            return encoded(decibels.grey(reduced(view.turn(level), SPECTRUM)))

        shares = [1.0, 1.0, 1.0]
        if acquired is not None:
            plane = sorted((view.rows, view.columns))
            for axis, matrix, stored in zip(
                plane, acquired["matrix"], acquired["stored"], strict=True
            ):
                shares[axis] = matrix / stored
        inside = np.multiply(shares, self.steps)
        return Spectrum(
            None if before is None else picture(before),
            picture(after),
            view.size(np.divide(self.new.shape, self.lengths)),
            view.size(self.steps),
            None if min(shares) == 1 else view.size(inside),
        )

    def thumbnail(self, across: int) -> bytes:
        """The middle slice, small."""
        view = view_of(self.affine, across, self.dimensions)
        turned = view.turn(as_stack(self.new, across)[self.new.shape[across] // 2])
        height, width = (
            max(8, round(THUMBNAIL * length / max(view.size(self.lengths))))
            for length in view.size(self.lengths)
        )
        return thumbnail(self.window.grey(turned), (height, width))


def _tilt(affine: NDArray | None, view: View) -> float:
    """Degrees between a slice's normal and the axis of the plane that it is named after."""
    if affine is None:
        return 0.0
    normal = np.cross(affine[:3, view.rows], affine[:3, view.columns])
    share = np.abs(normal).max() / np.linalg.norm(normal)
    return float(np.degrees(np.arccos(min(share, 1.0))))


def _power(stack: NDArray) -> NDArray[np.float64]:
    """The power of slices (N, H, W) at each frequency (H, W), the lowest in the middle."""
    some = stack[:: -(-len(stack) // STRONG)]
    half, _ = power_spectrum(np.nan_to_num(np.ascontiguousarray(some, np.float32)))
    height, width = stack.shape[1:]
    whole = np.zeros((height, width))
    if half.shape != (height, width // 2 + 1):  # nothing but constants
        return whole
    columns = np.arange(width)
    mirrored = columns > width // 2
    whole[:] = half[:, np.where(mirrored, width - columns, columns)]
    whole[:, mirrored] = whole[-np.arange(height)][:, mirrored]
    return np.fft.fftshift(whole) / (height * width) ** 2


def _named(image: NDArray) -> tuple[NDArray[np.uint8], Palette]:
    """Labels as colours: of a value always the same, of neighbouring ones others; 0 is black."""
    whole = np.nan_to_num(image).round().astype(np.int64)
    count = len(NAMES) // 3
    colours = np.where(whole == 0, 0, 1 + whole % count).astype(np.uint8)
    named = [(0, 0, 0), *zip(*(NAMES[first::3] for first in range(3)), strict=True)]
    return colours, named + [(0, 0, 0)] * (256 - len(named))


def _diverging() -> Palette:
    """Black where nothing differs, light at both ends."""
    places = np.linspace(-1, 1, 256)
    stops = np.linspace(0, 1, len(HOT))
    levels = [
        np.where(places < 0, np.interp(-places, stops, cold), np.interp(places, stops, hot))
        for cold, hot in zip(COLD.T, HOT.T, strict=True)
    ]
    return [tuple(colour) for colour in np.rint(np.transpose(levels)).astype(int).tolist()]
