"""What was measured of an enlarged image."""

import numpy as np
import pytest
import torch

from iconet.data.acquired import acquired_matrix
from iconet.physics.kspace import resize_kspace


def anatomy(height: int, width: int, slices: int = 6) -> np.ndarray:
    """Blobs and edges with noise: power falls with frequency, and reaches its end."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    images = []
    for _ in range(slices):
        image = np.zeros((height, width))
        for cy, cx, r in generator.uniform([0.2, 0.2, 0.02], [0.8, 0.8, 0.3], (25, 3)):
            image += generator.uniform(0.2, 1) * ((y - cy) ** 2 + (x - cx) ** 2 < r**2)
        images.append(image + 0.02 * generator.standard_normal(image.shape))
    return np.abs(np.array(images)).astype(np.float32)


@pytest.mark.parametrize(
    ("acquired", "stored"),
    [((160, 192), (256, 192)), ((128, 160), (128, 256)), ((96, 112), (160, 160))],
)
def test_zero_filled_axes_are_found(acquired: tuple[int, int], stored: tuple[int, int]) -> None:
    small = torch.from_numpy(anatomy(*acquired))
    enlarged = resize_kspace(small, stored).abs().numpy()
    found = acquired_matrix(enlarged)
    for got, true, size in zip(found, acquired, stored, strict=True):
        assert got == pytest.approx(true, abs=0.06 * size)
        assert got % 2 == 0


@pytest.mark.parametrize("size", [(160, 192), (130, 101), (82, 83), (80, 81), (24, 30)])
def test_images_that_were_not_enlarged_are_left_alone(size: tuple[int, int]) -> None:
    assert acquired_matrix(anatomy(*size)) == size


def test_empty_and_single_slices() -> None:
    assert acquired_matrix(np.zeros((3, 128, 100), np.float32)) == (128, 100)
    assert acquired_matrix(anatomy(160, 192, slices=1)) == (160, 192)
