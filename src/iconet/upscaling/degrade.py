"""A low-resolution scan to try things on: what a faster acquisition would have given."""

import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, check_output, choose_slice_axis, read, write
from iconet.upscaling.files import sizes
from iconet.upscaling.slices import robust_scale
from iconet.upscaling.upscale import resize_in_plane


def degrade_scan(scan: Scan, scale: int, *, noise: float = 0.0, seed: int = 0) -> Scan:
    """Lower the resolution in the plane of the slices by cropping k-space.

    Sizes that `scale` does not divide lose their last rows and columns. Where the scan has no
    negative values the result is a magnitude, as a scanner gives it.

    Args:
        scan: a scan as read.
        scale: how many times fewer voxels along each side of a slice, at least 2.
        noise: standard deviation of the complex noise, in percent of the 99.5th percentile of the
            bright voxels.
        seed: of the noise.

    Raises:
        InputError: wrong scale or noise, noise asked for on signed values, or slices too small.
    """
    import torch

    from iconet.physics.kspace import crop_kspace
    from iconet.physics.noise import rician

    if scale < 2:
        raise InputError(f"scale {scale} does not lower the resolution: use 2 or more")
    if not 0 <= noise < float("inf"):
        raise InputError(f"noise must be 0 or more percent, not {noise}")
    magnitude = bool(scan.array.min() >= 0)
    if noise and not magnitude:
        raise InputError(f"{scan.name} has negative values: Rician noise is for magnitude images")
    axis = choose_slice_axis(scan.array.shape, scan.spacing, affine=scan.affine)
    shape = [
        size if index in (axis, 3) else size - size % scale
        for index, size in enumerate(scan.array.shape)
    ]
    if min(size for index, size in enumerate(shape) if index not in (axis, 3)) < 2 * scale:
        raise InputError(f"{scan.name} is too small (shape {scan.array.shape}) for scale {scale}")
    cut = replace(scan, array=scan.array[tuple(map(slice, shape))])
    generator = torch.Generator().manual_seed(seed)

    def fill(stack: NDArray, out: NDArray) -> None:
        sigma = noise / 100 * robust_scale(stack) if noise else 0.0
        for index in range(len(stack)):
            image = torch.from_numpy(np.ascontiguousarray(stack[index], np.float32))
            low = crop_kspace(image, scale)
            out[index] = (rician(low, sigma, generator) if magnitude else low).numpy()

    return resize_in_plane(cut, axis, (1, scale), fill)


def degrade_file(
    path: str | os.PathLike,
    output: str | os.PathLike,
    *,
    scale: int = 2,
    noise: float = 0.0,
    seed: int = 0,
    series: str | None = None,
) -> str:
    """Read, `degrade_scan`, write; returns a line that says what was done."""
    check_output(output, [path])
    scan = read(path, series=series)
    check_output(output, [path], like=scan)
    low = degrade_scan(scan, scale, noise=noise, seed=seed)
    write(low, output, like=scan)
    return f"{output}: {sizes(scan)} -> {sizes(low)}"
