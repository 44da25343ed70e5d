"""Changing the number of voxels in k-space without moving the anatomy.

Every function works on the last two axes of a tensor of shape (..., H, W).
"""

from functools import lru_cache

import torch
from torch import Tensor

from iconet.errors import InputError


def resize_kspace(
    image: Tensor, size: tuple[int, int], window: float | Tensor | None = None
) -> Tensor:
    """Resamples an image over the same field of view by cropping or zero-padding its k-space.

    With N voxels in and M voxels out along an axis, output voxel m is centred at
    (m + 1/2) N/M - 1/2 in input voxels: on the middle of the block it covers, whatever the ratio.
    A crop of the centred FFT alone keeps voxel 0 on voxel 0 instead; the Fourier shift theorem
    makes the difference, a phase ramp of (N/M - 1)/2 input voxels.

    Intensities keep their scale. The Nyquist sample of an even size belongs half to each end of
    the band, so a real image stays real, and cropping is the adjoint of zero-filling (up to the
    ratio of voxel counts). What lies strictly below the smaller Nyquist frequency is kept exactly.

    Args:
        image: real or complex, (..., H, W). Half precision is computed, and returned, in float32.
        size: the new (H, W), each at least 1.
        window: share of the kept band, per axis, over which a Tukey (cosine) taper falls to zero
            at its edge, in [0, 1]: what scanners apply against Gibbs ringing. None and 0 keep the
            band as it is, 1 is a Hann window. A tensor broadcastable to (..., 1, 1) sets it per
            image.

    Returns:
        `(..., *size)`, complex if and only if `image` is.

    Raises:
        InputError: for an empty size or a window outside [0, 1].
    """
    if len(size) != 2 or min(size) < 1:
        raise InputError(f"an image cannot be resized to {tuple(size)} voxels: give two sizes >= 1")
    if isinstance(window, float | int) and not 0 <= window <= 1:
        raise InputError(f"k-space window {window} is not a share of the band: choose 0 to 1")
    if image.is_complex():
        # The kernel is real (a symmetric band), so both parts go through the real transform.
        parts = torch.stack((image.real, image.imag))
        return torch.complex(*resize_kspace(parts, size, window))
    if image.dtype in (torch.float16, torch.bfloat16):
        image = image.float()
    image = _resize_last_axis(image.transpose(-2, -1), size[0], window).transpose(-2, -1)
    return _resize_last_axis(image, size[1], window)


def _resize_last_axis(image: Tensor, size: int, window: float | Tensor | None) -> Tensor:
    old = image.shape[-1]
    if size == old and window is None:
        return image
    spectrum = torch.fft.rfft(image)
    band = min(old, size)
    spectrum = spectrum[..., : band // 2 + 1]
    real = spectrum.real.dtype
    frequency = torch.arange(band // 2 + 1, device=image.device, dtype=real)

    gain = torch.full_like(frequency, size / old)
    if size > old and old % 2 == 0:
        # One input sample becomes the two ends of the band. (In a crop two ends become one sample,
        # and irfft, which reads only the real part there, takes their mean.)
        gain[-1] /= 2
    if window is not None:
        gain = gain * _tukey(frequency / (band / 2), window)
    ramp = frequency * (torch.pi * (1 / size - 1 / old))
    return torch.fft.irfft(spectrum * torch.polar(gain, ramp.expand_as(gain)), n=size)


def with_low_frequencies(image: Tensor, low: Tensor, allowed: Tensor) -> Tensor:
    """Replaces the band of an image by that of a smaller one over the same field of view.

    What lies strictly below the Nyquist frequency of `low` is then the same in both (see
    `resize_kspace`), what lies above it is left as it is.

    Args:
        image: real, (H, W).
        low: real, (h, w), smaller along both axes.
        allowed: (h, w), how far the band of the image may stay from `low` at each voxel; 0 for not
            at all.

    Returns:
        (H, W).
    """
    size, new = (low.shape[0], low.shape[1]), (image.shape[0], image.shape[1])
    found, spectrum = torch.fft.rfft2(low), torch.fft.rfft2(image)
    bands = list(zip(_band(found, size), _band(spectrum, size), _ramps(size, new), strict=True))
    if allowed.any():
        missing = torch.zeros_like(found)
        for place, (wanted, given, ramp) in zip(_band(missing, size), bands, strict=True):
            torch.addcmul(wanted, given, ramp.reciprocal(), value=-1, out=place)
        kept = torch.fft.irfft2(missing, s=size)
        found -= torch.fft.rfft2(kept.clamp_(-allowed, allowed))
    for wanted, given, ramp in bands:
        torch.mul(wanted, ramp, out=given)
    return torch.fft.irfft2(spectrum, s=new)


def low_frequencies(image: Tensor, size: tuple[int, int]) -> Tensor:
    """What `resize_kspace` makes of a larger image, but for rounding, in half of its time.

    Both axes are transformed at once, and few frequencies go back.

    Args:
        image: real float32, (H, W).
        size: the new (h, w), smaller along both axes.

    Returns:
        (h, w).
    """
    spectrum = torch.fft.rfft2(image)[:, : size[1] // 2 + 1]
    vertical, horizontal = (
        _ramp(new // 2 + 1, old, new) for old, new in zip(image.shape, size, strict=True)
    )
    half = size[0] // 2
    above = spectrum[: half + 1] * vertical[:, None]
    below = spectrum[len(spectrum) - half :] * vertical[1:].flip(0).conj()[:, None]
    if size[0] % 2 == 0:  # two ends of the band become one sample; of columns, irfft2 does this
        above[half] = (above[half] + below[0]) / 2
        below = below[1:]
    return torch.fft.irfft2(torch.cat([above, below]) * horizontal, s=size)


def _band(spectrum: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Views of what lies strictly below the Nyquist frequency of a size: rows from 0, and below."""
    rows, columns = ((length - 1) // 2 for length in size)
    return spectrum[: rows + 1, : columns + 1], spectrum[len(spectrum) - rows :, : columns + 1]


@lru_cache(maxsize=4)
def _ramps(old: tuple[int, int], new: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Gain and phase that bring the band of a smaller image (see `_band`) to a larger grid."""
    vertical, horizontal = (
        _ramp((before + 1) // 2, before, after) for before, after in zip(old, new, strict=True)
    )
    below = vertical[1:].flip(0).conj()
    return vertical[:, None] * horizontal, below[:, None] * horizontal


@lru_cache(maxsize=8)
def _ramp(count: int, old: int, new: int) -> Tensor:
    """Those of the first frequencies of a line of `old` voxels, on one of `new`."""
    phase = torch.arange(count, dtype=torch.float64) * (torch.pi * (1 / new - 1 / old))
    return torch.polar(torch.full_like(phase, new / old), phase).to(torch.complex64)


def _tukey(radius: Tensor, share: float | Tensor) -> Tensor:
    """Tukey taper at `radius` (0 the centre, 1 the edge of the band), flat up to 1 - share."""
    share = torch.as_tensor(share, device=radius.device, dtype=radius.dtype)
    into_taper = (radius - (1 - share)) / share.clamp_min(torch.finfo(radius.dtype).eps)
    return (1 + torch.cos(torch.pi * into_taper.clamp(0, 1))) / 2


def crop_kspace(image: Tensor, factor: int) -> Tensor:
    """Low-resolution (..., H/factor, W/factor) from the centre of k-space, see `resize_kspace`.

    No magnitude is taken: next to sharp edges a non-negative image may ring below zero.

    Raises:
        InputError: where `factor` does not divide both sizes.
    """
    return resize_kspace(image, low_resolution_size(image, factor))


def zero_fill(image: Tensor, factor: int) -> Tensor:
    """Centred zero-filling: (..., H, W) to (..., factor H, factor W), see `resize_kspace`."""
    height, width = image.shape[-2:]
    return resize_kspace(image, (height * factor, width * factor))


def low_resolution_size(image: Tensor, factor: int) -> tuple[int, int]:
    """Number of whole blocks of factor x factor voxels along (H, W).

    Raises:
        InputError: where `factor` does not divide both sizes.
    """
    height, width = image.shape[-2:]
    if factor < 1 or height % factor or width % factor:
        raise InputError(
            f"{height} x {width} voxels do not split into blocks of {factor} x {factor}: "
            "crop or pad the image first"
        )
    return height // factor, width // factor
