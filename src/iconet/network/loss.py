"""Supervision of both branches at every stage."""

import torch.nn.functional as F
from torch import Tensor

from iconet.network.iconet import ICONetOutput


def collaboration_loss(
    output: ICONetOutput, clean: list[Tensor], *, reconstruction: float = 0.3, early: float = 0.3
) -> Tensor:
    """Mean squared error of every image of every stage against the clean image of its size.

    Args:
        output: What the network returned for a batch.
        clean: Clean images from the input's size to the final size, each twice the one before:
            ``len(output.stages) + 1`` tensors.
        reconstruction: Weight of a stage's reconstruction relative to its super-resolution.
        early: Weight of the stages before the last, relative to the last.

    Returns:
        Scalar, in squared intensities of the images. Squared, not absolute: most of what a k-space
        crop removed is uncertain, its median is near zero, and an absolute error is content with
        leaving it out (docs/experiments.md).

    Raises:
        ValueError: If the number of clean images does not fit the number of stages.
    """
    stages = output.stages
    if len(clean) != len(stages) + 1:
        raise ValueError(f"{len(stages)} stages need {len(stages) + 1} clean images")
    total = output.image.new_zeros(())
    for i, stage in enumerate(stages):
        weight = 1.0 if i == len(stages) - 1 else early
        total = total + weight * (
            F.mse_loss(stage.super_resolution, clean[i + 1])
            + reconstruction * F.mse_loss(stage.reconstruction, clean[i])
        )
    return total
