"""What people use today instead of a network: six ways to interpolate a stack of slices.

All keep the field of view: output voxel j of factor f looks at input position (j + 1/2) / f - 1/2,
so nothing moves in millimetres. Slices are resized one by one, in plane only.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def nearest(stack: NDArray, factor: int) -> NDArray[np.float32]:
    """Repeat every voxel ``factor`` times in plane: ``(S, H, W) -> (S, fH, fW)``."""
    stack = np.asarray(stack, dtype=np.float32)
    return stack.repeat(factor, axis=1).repeat(factor, axis=2)


def linear(stack: NDArray, factor: int) -> NDArray[np.float32]:
    """Bilinear interpolation, edge voxels continued outwards."""
    return _spline(stack, factor, order=1)


def bicubic(stack: NDArray, factor: int) -> NDArray[np.float32]:
    """Cubic convolution, which most software means by "cubic"; edge voxels continued outwards.

    Source: Keys, IEEE Trans. Acoustics, Speech, and Signal Processing 29(6), 1981, with the kernel
    parameter a=-0.75 of PyTorch and OpenCV (Keys: -0.5).
    """
    import torch
    from torch.nn.functional import interpolate

    tensor = torch.from_numpy(np.ascontiguousarray(stack, dtype=np.float32))
    bigger = interpolate(tensor[:, None], scale_factor=factor, mode="bicubic", align_corners=False)
    return bigger[:, 0].numpy()


def cubic_b_spline(stack: NDArray, factor: int) -> NDArray[np.float32]:
    """Cubic B-spline, prefiltered so that it passes through the input: sharper than bicubic."""
    return _spline(stack, factor, order=3)


def lanczos(stack: NDArray, factor: int) -> NDArray[np.float32]:
    """Lanczos interpolation with three lobes, weights renormalised at the edges (Pillow's)."""
    from PIL import Image

    stack = np.asarray(stack, dtype=np.float32)
    size = (stack.shape[2] * factor, stack.shape[1] * factor)
    return np.stack(
        [np.asarray(Image.fromarray(s).resize(size, Image.Resampling.LANCZOS)) for s in stack]
    )


def zero_filling(stack: NDArray, factor: int) -> NDArray[np.float32]:
    """Centred zero-filling of k-space: what scanners offer as "interpolation"."""
    import torch

    from iconet.physics.kspace import zero_fill

    tensor = torch.from_numpy(np.ascontiguousarray(stack, dtype=np.float32))
    return zero_fill(tensor, factor).numpy()


METHODS: dict[str, Callable[[NDArray, int], NDArray[np.float32]]] = {
    "nearest": nearest,
    "linear": linear,
    "bicubic": bicubic,
    "cubic-b-spline": cubic_b_spline,
    "lanczos": lanczos,
    "zero-filling": zero_filling,
}
"""The interpolations by the names that recipes, tables and figures use."""


def _spline(stack: NDArray, factor: int, order: int) -> NDArray[np.float32]:
    from scipy.ndimage import zoom

    stack = np.asarray(stack, dtype=np.float32)
    # grid_mode aligns the outer edges of the voxels rather than the centres of the corner voxels.
    return np.stack([zoom(s, factor, order=order, mode="reflect", grid_mode=True) for s in stack])
