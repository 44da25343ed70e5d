"""The layers that the page can show of a scan, in one list, and how each is made.

To add one: write a function from what is known (`Looked`) to values and their grid, and name it in
`LAYERS`. The page takes names, words, windows and colours from here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iconet.images import Scan
from iconet.upscaling.input_consistency import disagreement
from iconet.upscaling.interpolation import interpolate
from iconet.upscaling.models import Step
from iconet.upscaling.recovery import Recovery

MOST_VOXELS = 1 << 26
"""Of a layer: browsers hold it as numbers and as a texture. Larger ones are shown coarser."""

PICTURES = (".png", ".tif", ".tiff")
BRIGHTEST, DARKEST = 99.8, 0.5  # percentiles that are white and black at first
GREY, SIGNED, WIDTH = "grey", "signed", "width"


@dataclass(frozen=True)
class Looked:
    """What a layer is made from.

    Attributes:
        scan: As read; None for raw k-space, which is no image.
        result: As written; None before there is one.
        acquisition: How the scan's slices came about, as in the report.
        network: Whether a network took part in the result.
        named: Whether the values are names (labels), between which there is nothing.
        volume: Of a series, from 0.
        bounds: Reads the lower and the upper bound of the result; None where there are none.
    """

    scan: Scan | None
    result: Scan | None = None
    acquisition: Recovery | Step | None = None
    network: bool = True
    named: bool = False
    volume: int = 0
    bounds: Callable[[], tuple[Scan, Scan]] | None = None


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        key: In addresses.
        label: On the page.
        says: What it shows, a sentence.
        colours: "grey" for images, which share a window; "signed" for what is above and below
            zero, "width" for what begins at zero.
        shown: Whether it can be made.
        make: The scan whose values it is, or None where it cannot be made after all.
    """

    key: str
    label: str
    says: str
    colours: str
    shown: Callable[[Looked], bool]
    make: Callable[[Looked], Scan | None]

    def description(self) -> dict[str, str]:
        """For the page."""
        return {"key": self.key, "label": self.label, "says": self.says, "colours": self.colours}


def _enlarged(looked: Looked) -> Scan | None:
    """The scan on the result's grid without a network."""
    scan, result = looked.scan, looked.result
    assert scan is not None and result is not None
    low = _volume(scan, looked.volume)
    shape = result.array.shape[: low.ndim]
    ratios = [new / old for new, old in zip(result.spacing, scan.spacing, strict=True)]
    if scan.affine is None:
        ratios = [old / new for old, new in zip(low.shape, shape, strict=True)]
    steps = {axis: r for axis, r in enumerate(ratios) if shape[axis] != low.shape[axis]}
    out = np.empty(shape, np.float32, order="F")
    interpolate(_without_nan(low), out, steps)
    return Scan(out, affine=result.affine, path=scan.path)


def _difference(looked: Looked) -> Scan | None:
    result, plain = looked.result, _enlarged(looked)
    assert result is not None and plain is not None
    array = _without_nan(_volume(result, looked.volume)) - plain.array
    return Scan(array, affine=result.affine, path=plain.path)


def _consistency(looked: Looked) -> Scan | None:
    scan, result = looked.scan, looked.result
    assert scan is not None and result is not None
    low, high = (
        Scan(_volume(one, looked.volume), affine=one.affine, path=one.path, padding=scan.padding)
        for one in (scan, result)
    )
    found = disagreement(low, high, looked.acquisition)
    return None if found is None else Scan(found, affine=scan.affine, path=scan.path)


def _bound(number: int) -> Callable[[Looked], Scan | None]:
    return lambda looked: None if looked.bounds is None else looked.bounds()[number]


def _width(looked: Looked) -> Scan | None:
    if looked.bounds is None:
        return None
    lower, upper = looked.bounds()
    array = upper.array.astype(np.float32) - lower.array
    return Scan(array, affine=lower.affine, path=lower.path)


def _bounded(looked: Looked) -> bool:
    return looked.bounds is not None


def _compared(looked: Looked) -> bool:
    return _both(looked) and looked.network and not looked.named


def _both(looked: Looked) -> bool:
    return looked.scan is not None and looked.result is not None


LAYERS = (
    Layer(
        "scan",
        "Scan",
        "The scan as it was given.",
        GREY,
        lambda looked: looked.scan is not None,
        lambda looked: looked.scan,
    ),
    Layer(
        "interpolation",
        "Interpolation",
        "The scan enlarged without a network, on the grid of the result.",
        GREY,
        _compared,
        _enlarged,
    ),
    Layer(
        "iconet",
        "ICONet",
        "The result.",
        GREY,
        lambda looked: looked.result is not None and looked.network,
        lambda looked: looked.result,
    ),
    Layer(
        "enlarged",
        "Enlarged",
        "The result. No network took part in it.",
        GREY,
        lambda looked: looked.result is not None and not looked.network,
        lambda looked: looked.result,
    ),
    Layer(
        "difference",
        "Difference",
        "What ICONet added to the interpolation (red) or took away (blue).",
        SIGNED,
        _compared,
        _difference,
    ),
    Layer(
        "consistency",
        "Consistency",
        "The result made coarse again, minus the scan: where the result contradicts what was"
        " measured. Even grey is full agreement.",
        SIGNED,
        lambda looked: _both(looked) and not looked.named,
        _consistency,
    ),
    Layer(
        "width",
        "Uncertainty",
        "How far apart both bounds are: bright where the network guessed.",
        WIDTH,
        _bounded,
        _width,
    ),
    Layer(
        "lower",
        "Lower bound",
        "5 % of the true values are expected below it.",
        GREY,
        _bounded,
        _bound(0),
    ),
    Layer(
        "upper",
        "Upper bound",
        "5 % of the true values are expected above it.",
        GREY,
        _bounded,
        _bound(1),
    ),
)


def layers_of(looked: Looked) -> list[Layer]:
    """Those that can be shown."""
    return [layer for layer in LAYERS if layer.shown(looked)]


def draw(layer: Layer, looked: Looked, path: Path) -> dict[str, Any] | None:
    """Write a layer as a NIfTI file for the page, of one volume; returns what goes with it.

    Returns:
        `window`: what is black and white at first; `every`: of so many voxels along each axis one
        is shown; None where the layer cannot be made.
    """
    scan = layer.make(looked)
    if scan is None:
        return None
    every = reduction(scan.array.shape[:3])
    volume = _volume(scan, looked.volume)
    volume = volume[tuple(slice(None, None, step) for step in every)]
    window = _window(volume, layer.colours)
    _write(_without_nan(volume), _affine(scan, every), path)
    return {"window": window, "every": every}


def reduction(shape: tuple[int, ...]) -> list[int]:
    """Of so many voxels along each axis one is shown, so that a browser can hold them."""
    every = [1] * len(shape)
    while math.prod(-(-n // e) for n, e in zip(shape, every, strict=True)) > MOST_VOXELS:
        largest = max(range(len(shape)), key=lambda axis: shape[axis] / every[axis])
        every[largest] += 1
    return every


def _volume(scan: Scan, number: int) -> NDArray:
    return scan.array[..., number] if scan.array.ndim == 4 else scan.array


def _without_nan(volume: NDArray) -> NDArray:
    least = float(np.fmin.reduce(volume, axis=None))
    return np.nan_to_num(volume, nan=least) if np.isnan(volume.min()) else volume


def _window(volume: NDArray, colours: str) -> list[float]:
    """Black and white, by percentiles of what is not background."""
    some = np.ravel(volume[tuple(slice(None, None, max(1, n // 96)) for n in volume.shape)])
    some = some[np.isfinite(some)]
    if colours == SIGNED:
        most = float(np.percentile(np.abs(some), BRIGHTEST)) if some.size else 0.0
        return [-most, most] if most > 0 else [-1.0, 1.0]
    if colours == WIDTH:
        most = float(np.percentile(some, BRIGHTEST)) if some.size else 0.0
        return [0.0, most] if most > 0 else [0.0, 1.0]
    inside = some[some != some.min()] if some.size else some
    if not inside.size:
        value = float(some[0]) if some.size else 0.0
        return [value, value + 1]
    low, high = (float(np.percentile(inside, at)) for at in (DARKEST, BRIGHTEST))
    return [low, high] if high > low else [low, low + 1]


def _affine(scan: Scan, every: list[int]) -> NDArray:
    affine = np.eye(4) if scan.affine is None else np.array(scan.affine, float)
    if scan.affine is None and scan.path is not None and scan.path.suffix.lower() in PICTURES:
        # (rows, columns): the first row on top, the first column on the left, as radiologists look.
        affine = np.array([[0, -1.0, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    steps = [*every, 1, 1][:3]
    affine[:3, :3] *= steps
    return affine


def _write(volume: NDArray, affine: NDArray, path: Path) -> None:
    """NIfTI without compression: the file goes from memory to memory."""
    import nibabel

    whole = np.array_equal(volume, np.rint(volume)) and abs(volume).max() < 2**15
    values = volume.astype(np.int16 if whole else np.float32)
    image = nibabel.Nifti1Image(values[..., None] if values.ndim == 2 else values, affine)
    nibabel.save(image, path)
