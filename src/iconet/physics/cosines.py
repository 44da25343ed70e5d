"""The discrete cosine transform: a spectrum of what goes on evenly beyond the field of view.

An image that is cut at tissue has no jump at its ends then, and nothing rings there. Frequency k of
a line of N voxels is k/N of the Nyquist frequency. Voxel n is centred at (n + 1/2)/N of the line,
so keeping the first M of N coefficients, or adding zeros to them, keeps the field of view.
"""

from functools import cache

import torch
from torch import Tensor


def cosines(lines: Tensor, count: int) -> Tensor:
    """The first coefficients of the orthonormal DCT-II of each line.

    By a Fourier transform of the same length (Makhoul, IEEE Trans. Acoustics, Speech, and Signal
    Processing 28(1), 1980).

    Args:
        lines: (..., N), real float32.
        count: how many coefficients, at most N.

    Returns:
        (..., count).
    """
    size = lines.shape[-1]
    folded = torch.cat([lines[..., ::2], lines[..., 1::2].flip(-1)], dim=-1)
    turned = torch.fft.rfft(folded, norm="ortho") * _quarter_turns(size).conj()
    found = turned.real[..., :count]
    if count > turned.shape[-1]:
        rest = -turned.imag[..., 1 : (size + 1) // 2].flip(-1)
        found = torch.cat([found, rest[..., : count - found.shape[-1]]], dim=-1)
    return found


def from_cosines(coefficients: Tensor, size: int) -> Tensor:
    """Lines of `size` voxels from their first coefficients; the others are 0. See `cosines`.

    Args:
        coefficients: (..., count), real float32, count at most `size`.
        size: N.

    Returns:
        (..., N).
    """
    count, half = coefficients.shape[-1], size // 2 + 1
    spectrum = coefficients[..., :half].to(torch.complex64)
    if count > size - half + 1:
        # A coefficient above the middle is the imaginary part of the one as far below it.
        upper = torch.zeros(*coefficients.shape[:-1], half - 1)
        upper[..., size - count :] = coefficients[..., size - half + 1 :].flip(-1)
        spectrum[..., 1:] -= 1j * upper
    spectrum = spectrum / _quarter_turns(size)[: spectrum.shape[-1]].conj()
    folded = torch.fft.irfft(spectrum, n=size, norm="ortho")
    lines = torch.empty_like(folded)
    ahead = (size + 1) // 2
    lines[..., ::2], lines[..., 1::2] = folded[..., :ahead], folded[..., ahead:].flip(-1)
    return lines


def cosines2(image: Tensor, count: tuple[int, int]) -> Tensor:
    """`cosines` of the last two axes: (..., H, W) to (..., *count)."""
    return cosines(cosines(image, count[1]).mT, count[0]).mT


def from_cosines2(coefficients: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverse of `cosines2`: (..., h, w) to (..., *size)."""
    return from_cosines(from_cosines(coefficients, size[1]).mT, size[0]).mT


@cache
def _quarter_turns(size: int) -> Tensor:
    """Phase and weight that make cosines of the frequencies of a folded line."""
    frequency = torch.arange(size // 2 + 1, dtype=torch.float64)
    weight = torch.full_like(frequency, 2**0.5)
    weight[0] = 1
    return torch.polar(weight, frequency * (torch.pi / 2 / size)).to(torch.complex64)
