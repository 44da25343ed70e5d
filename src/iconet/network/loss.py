"""Supervision of both branches at every stage, as in the paper; the weights are ours."""

import torch.nn.functional as F
from torch import Tensor

from iconet.network.iconet import ICONetOutput


def collaboration_loss(
    output: ICONetOutput, clean: list[Tensor], *, reconstruction: float = 0.3, early: float = 0.3
) -> Tensor:
    """Mean squared error of the image, and of every image of every stage, each at its size.

    Args:
        output: What the network returned for a batch. One without stages (a network that ICONet
            is compared with) is judged by its image alone.
        clean: Clean images from the input's size to the final size, each twice the one before.
        reconstruction: Weight of a stage's reconstruction relative to its super-resolution.
        early: Weight of the stages before the last, relative to the last.

    Returns:
        Scalar, in squared intensities of the images. Squared, not absolute: most of what a k-space
        crop removed is uncertain, its median is near zero, and an absolute error is content with
        leaving it out (docs/experiments).

    Raises:
        ValueError: If an image has no clean image of its size.
    """
    by_size = {tuple(image.shape[-2:]): image for image in clean}

    def error(image: Tensor) -> Tensor:
        size = tuple(image.shape[-2:])
        if size not in by_size:
            raise ValueError(f"no clean image has {size} pixels, only {list(by_size)}")
        return F.mse_loss(image, by_size[size])

    total = error(output.image)
    for i, stage in enumerate(output.stages):
        last = i == len(output.stages) - 1
        weight = 1.0 if last else early
        total = total + weight * reconstruction * error(stage.reconstruction)
        if not last:
            total = total + weight * error(stage.super_resolution)
    return total
