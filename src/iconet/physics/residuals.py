"""How an image agrees with the samples of k-space that it was made from."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

OUTER = 0.1, 0.3  # shares of the measured rows and columns, the outermost: there is little signal


class KspaceConsistency(NamedTuple):
    """Of all slices together; None where nothing was measured.

    Attributes:
        residual_over_noise: Root mean square of the residuals over that of the noise. The residual
            is a sample minus what the image says that it should be. About 1 and below: the image
            agrees with what was measured. Above: it contradicts it.
        relative_residual: Root mean square of the residuals over that of the samples.
        noise: Root mean square of the noise of a sample, in the units of the raw data, estimated
            in the corners of k-space: an upper bound where there is signal in them.
    """

    residual_over_noise: float | None
    relative_residual: float | None
    noise: float


class Residuals:
    """Collects the residuals of one slice after the other."""

    def __init__(self) -> None:
        self._count = 0
        self._miss = self._samples = self._noise = 0.0

    def add(self, samples: Tensor, predicted: Tensor, mask: Tensor) -> None:
        """A slice.

        Args:
            samples: (C, H, W) complex.
            predicted: Likewise, of the image.
            mask: (H, W) bool, True where measured.
        """
        samples, predicted, mask = (part.cpu() for part in (samples, predicted, mask))
        rows = _outermost(mask.any(dim=1), OUTER[0])
        columns = _outermost(mask.any(dim=0), OUTER[1])
        if not len(rows):
            return
        measured = mask.expand_as(samples)
        count = int(measured.sum())
        self._count += count
        self._miss += _energy((samples - predicted)[measured])
        self._samples += _energy(samples[measured])
        corners = rows[:, None], columns
        # The magnitude of complex noise has the median sqrt(log 2) times its root mean square.
        median = float(samples[:, *corners][measured[:, *corners]].abs().median())
        self._noise += count * median**2 / math.log(2)

    def summary(self) -> KspaceConsistency | None:
        """Of all slices so far; None if there was none."""
        if not self._count:
            return None
        over = math.sqrt(self._miss / self._noise) if self._noise else None
        relative = math.sqrt(self._miss / self._samples) if self._samples else None
        return KspaceConsistency(over, relative, math.sqrt(self._noise / self._count))


def _outermost(there: Tensor, share: float) -> Tensor:
    """Those of the indices of True that lie farthest from the centre."""
    indices = there.nonzero().flatten()
    far = (indices - len(there) // 2).abs().argsort(descending=True)
    return indices[far[: max(1, round(share * len(indices)))]]


def _energy(values: Tensor) -> float:
    return float(torch.view_as_real(values.to(torch.complex128)).square().sum())
