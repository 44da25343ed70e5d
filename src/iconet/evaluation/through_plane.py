"""How good thin slices made from thick ones are, beside the truth and beside interpolation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iconet.evaluation.metrics import evaluate

CONVENTION = (
    "PSNR and SSIM over the foreground, by the convention of `iconet evaluate`; SSIM on the slices "
    "across the enlarged axis. Sharpness: energy above half of the Nyquist frequency along the "
    "enlarged axis (cosine transform), of the prediction over the truth; 1 is right, less is "
    "blurred, more is invented or noise. Flicker along an axis: energy of the differences between "
    "the errors of neighbouring slices, over that of the differences between neighbouring slices "
    "of the truth; 0 is right, 1 is as wrong as slices that do not change at all."
)

AxisMethod = Callable[[NDArray, int, int], NDArray]
"""Makes a volume finer along an axis: (volume, axis, factor) to a volume."""


@dataclass(frozen=True)
class ThroughPlane:
    """Measures of one volume, see `CONVENTION`; PSNR in dB, the others without a unit.

    Attributes:
        psnr: inside the foreground.
        ssim: inside the foreground.
        sharpness: of the spectrum along the enlarged axis, relative to the truth.
        flicker: along each of the three axes: along the enlarged one it is what changes wrongly
            from one thin slice to the next, along the others what a network that works slice by
            slice leaves between the slices it saw.
    """

    psnr: float
    ssim: float
    sharpness: float
    flicker: tuple[float, float, float]


def compare_through_plane(prediction: NDArray, truth: NDArray, axis: int) -> ThroughPlane:
    """Measure thin slices against the true ones.

    Args:
        prediction: (I, J, K), real, on the truth's intensity scale.
        truth: same shape, sides of 7 voxels or more, maximum above zero.
        axis: the enlarged one.

    Raises:
        ValueError: as `iconet.evaluation.metrics.evaluate`.
    """
    measured = evaluate(np.moveaxis(prediction, axis, 0), np.moveaxis(truth, axis, 0))
    return ThroughPlane(
        measured.psnr_foreground,
        measured.ssim_foreground,
        sharpness(prediction, truth, axis),
        tuple(flicker(prediction, truth, a) for a in range(3)),  # type: ignore[arg-type]
    )


def sharpness(prediction: NDArray, truth: NDArray, axis: int) -> float:
    """Energy in the upper half of the band along an axis, of the prediction over the truth."""
    from scipy.fft import dct

    def energy(volume: NDArray) -> float:
        spectrum = np.moveaxis(dct(volume.astype(np.float64), axis=axis, norm="ortho"), axis, 0)
        return float(np.square(spectrum[(len(spectrum) + 1) // 2 :]).sum())

    return _ratio(energy(prediction), energy(truth))


def flicker(prediction: NDArray, truth: NDArray, axis: int) -> float:
    """Energy of slice-to-slice differences of the error, over that of the truth."""
    truth = truth.astype(np.float64)
    wrong = np.diff(prediction - truth, axis=axis)
    return _ratio(float(np.square(wrong).sum()), float(np.square(np.diff(truth, axis=axis)).sum()))


def _ratio(part: float, whole: float) -> float:
    """0 where there is nothing of either: no flicker, and nothing to be sharp."""
    if whole:
        return part / whole
    return float("inf") if part else 0.0


def spline_along_axis(volume: NDArray, axis: int, factor: int) -> NDArray[np.float32]:
    """Cubic B-spline along one axis, field of view kept."""
    from scipy.ndimage import zoom

    factors = [factor if index == axis else 1 for index in range(volume.ndim)]
    fine: NDArray[np.float32] = zoom(
        np.asarray(volume, np.float32), factors, order=3, mode="reflect", grid_mode=True
    )
    return fine


def zero_fill_axis(volume: NDArray, axis: int, factor: int) -> NDArray[np.float32]:
    """Zero-filling of k-space along one axis, field of view kept."""
    import torch

    from iconet.physics.kspace import resize_kspace

    rows = torch.from_numpy(np.ascontiguousarray(np.moveaxis(volume, axis, -1), np.float32))
    fine = resize_kspace(rows, (rows.shape[-2], rows.shape[-1] * factor))
    return np.moveaxis(fine.numpy(), -1, axis)


BASELINES: dict[str, AxisMethod] = {
    "cubic-b-spline": spline_along_axis,
    "zero-filling": zero_fill_axis,
}


def compare_methods(
    truth: NDArray, axis: int, factor: int, methods: dict[str, AxisMethod], *, gap: float = 0.0
) -> dict[str, ThroughPlane]:
    """Thicken a true volume's slices (Gaussian profile), let methods undo it, and measure them.

    Args:
        truth: (I, J, K), real, thin slices; those that do not make up a thick one are left out.
        axis: the one that becomes coarse and fine again.
        factor: thin slices for each thick one.
        methods: by name, beside `BASELINES`.
        gap: between thick slices, in thin slices.

    Returns:
        The measures of every method, `BASELINES` first.
    """
    import torch

    from iconet.physics.slice_profile import thick_slices

    count = truth.shape[axis] // factor * factor
    truth = np.take(truth, range(count), axis)
    thin = torch.from_numpy(np.ascontiguousarray(np.moveaxis(truth, axis, -1), np.float32))
    thick = np.moveaxis(thick_slices(thin, factor, profile="gaussian", gap=gap).numpy(), -1, axis)
    return {
        name: compare_through_plane(method(thick, axis, factor), truth, axis)
        for name, method in {**BASELINES, **methods}.items()
    }


def to_text(results: dict[str, ThroughPlane], axes: Sequence[str] = "ijk") -> str:
    """A Markdown table, and what its columns mean."""
    heads = ["Method", "PSNR", "SSIM", "sharpness", *(f"flicker along {a}" for a in axes)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, r in results.items():
        cells = [name, f"{r.psnr:.2f}", f"{r.ssim:.4f}", f"{r.sharpness:.3f}"]
        lines.append("| " + " | ".join([*cells, *(f"{f:.3f}" for f in r.flicker)]) + " |")
    return "\n".join([*lines, "", CONVENTION])
