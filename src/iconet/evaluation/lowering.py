"""How test scans lose resolution: fixed, and seeded by the scan, so the same for every method."""

import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.intensity import robust_scale

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from iconet.network import Samples

WAYS = {
    "kspace-crop": "centred crop of every slice's k-space, magnitude",
    "windowed": "the same with a Tukey window that tapers the outer half of the kept band",
    "blurred": "Gaussian blur with a full width of 1.1 low-resolution pixels, sampled at the "
    "centres of blocks",
    "noisy": "centred crop of k-space and Rician noise of 2 % of the volume's robust maximum",
    "hamming": "centred crop of k-space with a Hamming window over the kept band, magnitude",
    "averaged": "mean of blocks of voxels",
    "bicubic": "cubic interpolation, widened against aliasing (a = -0.5, as Pillow and MATLAB)",
    "blurred-averaged": "Gaussian blur with a full width of 0.65 low-resolution pixels, then mean "
    "of blocks",
    "joint": "zeros added up to multiples of 4 low-resolution pixels, a smooth random phase, "
    "centred crop of k-space, 1 % complex noise, acceleration 4 along the second axis with a "
    "random Cartesian mask and the central 8 % of the lines full; magnitude of the zero-filled "
    "reconstruction, or with known samples the complex one, the k-space and the mask",
    "through-plane": "slices across the plane of acquisition: thick slices (Gaussian profile as "
    "wide as a slice) along one axis, centred crop of k-space along the other",
}
"""What each way does, in words that stand in reports and by which measured rows are recognised."""
# There is no "native low-resolution scan" here: without a truth, what could be computed (agreement
# with the scan after cropping the prediction's k-space) is best for zero-filling by construction.
# How networks hold up off their training set is told by through-plane slices and by data sets and
# degradations that they were not trained on.

SMALLEST = 16
"""Pixels along a side of what networks take."""


class Lowered(NamedTuple):
    """A test scan, degraded.

    Attributes:
        magnitude: (S, 1, h, w) float32, not negative.
        truth: (S, H, W) float32, of the same field of view.
        parts: (S, 2, h, w), the complex low-resolution image; None where there is no phase.
        samples: The measured k-space; None likewise.
    """

    magnitude: "Tensor"
    truth: NDArray[np.float32]
    parts: "Tensor | None" = None
    samples: "Samples | None" = None


def lower(
    stack: NDArray[np.float32], way: str, factor: int, *, every: int = 1, name: str = ""
) -> Lowered | None:
    """Degrade a stack of slices.

    Args:
        stack: (S, H, W), H and W multiples of ``factor``.
        way: A key of `WAYS`.
        factor: How many times fewer pixels along each side.
        every: Only every so manieth slice.
        name: Of the scan, from which the random numbers follow.

    Returns:
        None where the low-resolution slices would be smaller than 16 x 16.
    """
    import torch

    from iconet.data.sampling import real_and_imaginary
    from iconet.network import Samples
    from iconet.training.validation import ACQUISITION

    if way == "through-plane":
        stack = _reformatted(stack)
    if min(stack.shape[1:]) < SMALLEST * factor:
        return None
    truth = np.ascontiguousarray(stack[min(every, len(stack)) // 2 :: every])
    clean = torch.from_numpy(truth)[:, None]
    bright = robust_scale(stack)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    if way == "joint":
        # A larger field of view: networks take samples at multiples of 4 pixels.
        height, width = (-length % (4 * factor) for length in truth.shape[1:])
        clean = torch.nn.functional.pad(clean, (0, width, 0, height))
        scale = torch.full((len(clean), 1, 1, 1), bright)
        measured = ACQUISITION(clean, factor, generator, scale)
        samples = Samples(measured.kspace, measured.mask)
        parts = real_and_imaginary(measured.image)
        return Lowered(measured.image.abs(), clean[:, 0].numpy(), parts, samples)
    low = _magnitude(clean, way, factor, bright, generator)
    return Lowered(low.contiguous(), truth)


def _magnitude(
    clean: "Tensor", way: str, factor: int, bright: float, generator: "Generator"
) -> "Tensor":
    """Low-resolution magnitudes of (S, 1, H, W), whose robust maximum is `bright`."""
    from torch.nn.functional import avg_pool2d, interpolate

    from iconet.physics.blur import blur_and_resample, gaussian_blur
    from iconet.physics.fourier import fft2c, ifft2c
    from iconet.physics.kspace import crop_kspace, resize_kspace
    from iconet.physics.noise import rician
    from iconet.physics.slice_profile import thick_slices
    from iconet.physics.window import apply_window, window_named

    height, width = (side // factor for side in clean.shape[-2:])
    kspace_crop = crop_kspace(clean, factor)
    if way == "kspace-crop":
        return kspace_crop.abs()
    if way == "windowed":
        return resize_kspace(clean, (height, width), 0.5).abs()
    if way == "blurred":
        return blur_and_resample(clean, factor, 1.1 * factor)
    if way == "noisy":
        return rician(kspace_crop, 0.02 * bright, generator)
    if way == "hamming":
        return ifft2c(apply_window(fft2c(kspace_crop), window_named("hamming"))).abs()
    if way == "averaged":
        return avg_pool2d(clean, factor)
    if way == "bicubic":
        return interpolate(clean, (height, width), mode="bicubic", antialias=True).abs()
    if way == "blurred-averaged":
        return avg_pool2d(gaussian_blur(clean, 0.65 * factor), factor)
    if way == "through-plane":
        thin = resize_kspace(clean, (clean.shape[-2], width)).abs()
        return thick_slices(thin.mT, factor, profile="gaussian").mT
    raise ValueError(f"no way to degrade is called {way!r}")


def _reformatted(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, H, W) cut across its slices: (H, S, W), S cropped evenly to a multiple of 8."""
    kept = len(stack) - len(stack) % 8
    start = (len(stack) - kept) // 2
    return np.ascontiguousarray(stack[start : start + kept].transpose(1, 0, 2))
