"""What a method gains that is told how slices lost their resolution: that way as matrices."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iconet.evaluation.lowering import lower

SHARPEST = 8.0
ITERATIONS = 100
STEP = 0.05


@lru_cache(maxsize=64)
def along_one_axis(way: str, factor: int, length: int) -> NDArray[np.float32]:
    """What a way does to a line: (length / factor, length), its answers to impulses.

    Magnitudes are taken on the way, so each impulse stands on a constant above it.
    """
    lines = 16 * factor
    impulses = np.ones((length, lines, length), np.float32)
    impulses[np.arange(length), :, np.arange(length)] += 0.5
    lowered = lower(impulses, way, factor)
    assert lowered is not None
    return np.ascontiguousarray(2 * (lowered.magnitude[:, 0, 8].numpy() - 1).T)


def transfer(way: str, factor: int, length: int) -> NDArray[np.float64]:
    """How a way weighs the frequencies of a low-resolution line, without what it aliases."""
    matrix = along_one_axis(way, factor, length)
    middle = len(matrix) // 2
    answer = matrix[middle].astype(np.float64)
    at = (np.arange(length) + 0.5) / factor - 0.5 - middle
    waves = np.cos(2 * np.pi * np.fft.fftfreq(len(matrix))[:, None] * at)
    return waves @ answer


def as_bicubic(low: NDArray[np.float32], way: str, factor: int) -> NDArray[np.float32]:
    """A slice (h, w) with the frequencies weighed as in one that was made smaller bicubically."""
    rows, columns = (
        np.clip(
            transfer("bicubic", factor, side * factor)
            / np.maximum(transfer(way, factor, side * factor), 1e-3),
            0,
            SHARPEST,
        )
        for side in low.shape
    )
    spectrum = np.fft.fft2(low) * rows[:, None] * columns
    return np.fft.ifft2(spectrum).real.astype(np.float32)


@dataclass(frozen=True)
class TotalVariation:
    """The image of least total variation near the slice, lowered in the way that it is told.

    Minimises f^2/2 |A X B' - low|^2 + weight * TV(X) by a primal-dual method.
    Source: Condat, J. Optimization Theory and Applications 158, 2013.
    """

    way: str
    factor: int
    weight: float

    def __call__(self, low: NDArray[np.float32], start: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, columns = (
            torch.from_numpy(along_one_axis(self.way, self.factor, side * self.factor))
            for side in low.shape
        )
        target, image = torch.from_numpy(low), torch.from_numpy(start)
        slopes = image.new_zeros((2, *image.shape))
        smooth = self.factor**2 * _norm(rows) * _norm(columns)
        step = 1 / (smooth / 2 + 8 * STEP)
        for _ in range(ITERATIONS):
            error = rows @ image @ columns.T - target
            fidelity = self.factor**2 * (rows.T @ error @ columns)
            nearer = image - step * (fidelity - _divergence(slopes))
            slopes += STEP * _gradient(2 * nearer - image)
            slopes /= (slopes.square().sum(dim=0).sqrt() / self.weight).clamp(min=1)
            image = nearer
        return image.numpy()


def _norm(matrix: Tensor) -> float:
    """The largest eigenvalue of its square."""
    return float(torch.linalg.matrix_norm(matrix, 2)) ** 2


def _gradient(image: Tensor) -> Tensor:
    slopes = image.new_zeros((2, *image.shape))
    slopes[0, :-1] = image[1:] - image[:-1]
    slopes[1, :, :-1] = image[:, 1:] - image[:, :-1]
    return slopes


def _divergence(slopes: Tensor) -> Tensor:
    """Minus the adjoint of `_gradient`."""
    rows, columns = slopes[0].clone(), slopes[1].clone()
    rows[1:] -= slopes[0, :-1]
    columns[:, 1:] -= slopes[1, :, :-1]
    return rows + columns
