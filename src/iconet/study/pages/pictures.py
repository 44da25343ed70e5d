"""The pictures of a page: the middle slices before and after, what was added, the spectrum.

All are of the first volume of a series. What a plane is shown with beside before and after is in
`_maps` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iconet.images import Scan, slice_axis_of
from iconet.images.kind.kinds import LABELS, MASK
from iconet.pictures.grey import Window, window_of
from iconet.pictures.png import Palette, encoded, reduced, thumbnail
from iconet.pictures.section import Section, middle, planes_of, section_of, volume_of
from iconet.pictures.view import View
from iconet.upscaling.regrid import as_stack
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

WIDE = 0.2
"""Share of the grey window that the width of intervals is drawn to."""

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
    kind = (report.get("kind") or {}).get("name")
    first = after if before is None else before
    across = slice_axis_of(first, plane)
    drawing = _Drawing(before, after, kind in (LABELS, MASK), window_of(first.first_volume, kind))
    for side in SIDES:
        planes = tuple(drawing.plane(axis, side) for axis in planes_of(after, across))
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
    """A scan before (None where there is no image) and after, and how it is drawn."""

    before: Scan | None
    after: Scan
    labels: bool
    window: Window

    @cached_property
    def steps(self) -> tuple[float, ...]:
        """From one new voxel to the next, in old ones, along each axis."""
        if self.before is None:
            return (1.0, 1.0, 1.0)
        if self.after.affine is None:
            pairs = zip(volume_of(self.before).shape, volume_of(self.after).shape, strict=True)
            return tuple(old / new for old, new in pairs)
        pairs = zip(self.before.spacing, self.after.spacing, strict=True)
        return tuple([*(new / old for old, new in pairs), 1.0][:3])

    def plane(self, across: int, side: int) -> Plane:
        """The middle one across an axis, with so many pixels a side at most."""
        share = middle(self.after, across)
        new = section_of(self.after, across, share)
        old = None if self.before is None else section_of(self.before, across, share)
        return Plane(
            new.view,
            new.size,
            _tilt(self.after.affine, new.view),
            (None if old is None else old.index, new.index),
            None if old is None else self._picture(old.image, side),
            self._picture(new.image, side),
            self._maps(new),
        )

    def _picture(self, image: NDArray, side: int) -> bytes:
        if self.labels:
            step = -(-max(image.shape) // side)
            return encoded(*_named(image[::step, ::step]))
        return encoded(reduced(self.window.grey(image), side))

    def _maps(self, section: Section) -> tuple[Map, ...]:
        """What else there is to see of a slice of the result."""
        return (*self._added(section), *self._width(section))

    def _width(self, section: Section) -> tuple[Map, ...]:
        """How far apart both bounds lie, where there are any."""
        if self.after.bounds is None:
            return ()
        lower, upper = self.after.bounds
        apart = replace(self.after, array=upper.astype(np.float32) - lower, bounds=None)
        across = section.view.across
        width = section_of(apart, across, (section.index + 0.5) / volume_of(apart).shape[across])
        most = WIDE * (self.window.high - self.window.low)
        shades = reduced(Window(-most, most).grey(width.image), SMALL)
        legend = f"90 % of true values are expected in an interval; black is none, white {most:.3g}"
        return (Map("Width of the interval", encoded(shades, _diverging()), legend),)

    def _added(self, section: Section) -> tuple[Map, ...]:
        """What the network added."""
        if self.before is None or self.labels:
            return ()
        before = self._interpolated(volume_of(self.before), section.view.across, section.index)
        most = ADDED * (self.window.high - self.window.low)
        added = section.image - section.view.turn(before)
        shades = reduced(Window(-most, most).grey(added), SMALL)
        legend = f"orange is brighter, blue is darker, white at {most:.3g}"
        return (Map("Difference from interpolation", encoded(shades, _diverging()), legend),)

    def _interpolated(self, volume: NDArray, across: int, index: int) -> NDArray:
        """A slice of the new grid, of the old values alone: their band, nothing beyond it."""
        new = volume_of(self.after).shape
        weights = [
            cosine_weights(volume.shape[axis], new[axis], self.steps[axis]) for axis in range(3)
        ]
        image = np.zeros(np.delete(volume.shape, across), np.float32)
        for plane, share in zip(as_stack(volume, across), weights[across][:, index], strict=True):
            if share:
                image += share * self._near(plane)
        rows, columns = (weights[axis] for axis in range(3) if axis != across)
        return np.asarray(rows.T @ image @ columns)

    def _near(self, values: NDArray) -> NDArray[np.float32]:
        """Without what lies far outside, such as metal or padding: it would ring everywhere."""
        span = self.window.high - self.window.low
        least, most = self.window.low - span / 4, self.window.high + span
        # fmax, because NaN becomes the least.
        return np.fmin(np.fmax(values, np.float32(least)), np.float32(most)).astype(np.float32)

    def spectrum(self, across: int, acquired: Mapping[str, Any] | None) -> Spectrum | None:
        """Of the slices; None where they are constant."""
        section = section_of(self.after, across, 0)
        view = section.view
        after = self._power(self.after, across)
        before = None if self.before is None else self._power(self.before, across)
        peak = after.max() if before is None else max(before.max(), after.max())
        if not peak > 0:
            return None
        decibels = Window(-DECIBELS, 0)

        def picture(power: NDArray) -> bytes:
            level = 10 * np.log10(np.maximum(power / peak, 1e-30)).astype(np.float32)
            return encoded(decibels.grey(reduced(view.turn(level), SPECTRUM)))

        shares = [1.0, 1.0, 1.0]
        if acquired is not None:
            axes = sorted((view.rows, view.columns))
            pairs = zip(axes, acquired["matrix"], acquired["stored"], strict=True)
            for axis, matrix, stored in pairs:
                shares[axis] = matrix / stored
        voxels = view.size(volume_of(self.after).shape)
        height, width = (count / mm for count, mm in zip(voxels, section.size, strict=True))
        inside = [share * step for share, step in zip(shares, self.steps, strict=True)]
        return Spectrum(
            None if before is None else picture(before),
            picture(after),
            (height, width),
            view.size(self.steps),
            None if min(shares) == 1 else view.size(inside),
        )

    def _power(self, scan: Scan, across: int) -> NDArray[np.float64]:
        """The power of the slices at each frequency (H, W), the lowest in the middle."""
        from iconet.physics.spectrum import power_spectrum

        stack = as_stack(volume_of(scan), across)
        some = self._near(stack[:: -(-len(stack) // STRONG)])
        half, _ = power_spectrum(np.ascontiguousarray(some))
        height, width = stack.shape[1:]
        whole = np.zeros((height, width))
        if half.shape != (height, width // 2 + 1):  # nothing but constants
            return whole
        columns = np.arange(width)
        mirrored = columns > width // 2
        whole[:] = half[:, np.where(mirrored, width - columns, columns)]
        whole[:, mirrored] = whole[-np.arange(height)][:, mirrored]
        return np.fft.fftshift(whole) / (height * width) ** 2

    def thumbnail(self, across: int) -> bytes:
        """The middle slice, small."""
        section = section_of(self.after, across, middle(self.after, across))
        most = max(section.size)
        height, width = (max(8, round(THUMBNAIL * length / most)) for length in section.size)
        return thumbnail(self.window.grey(section.image), (height, width))


def _tilt(affine: NDArray | None, view: View) -> float:
    """Degrees between a slice's normal and the axis of the plane that it is named after."""
    if affine is None:
        return 0.0
    normal = np.cross(affine[:3, view.rows], affine[:3, view.columns])
    share = np.abs(normal).max() / np.linalg.norm(normal)
    return float(np.degrees(np.arccos(min(share, 1.0))))


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
