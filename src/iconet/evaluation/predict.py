"""A degraded test scan through a network, in the way that is the same for all architectures."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.evaluation.lowering import Lowered
from iconet.intensity import robust_scale
from iconet.runtime.device import Compute

if TYPE_CHECKING:
    from torch import nn


def predict(
    network: "nn.Module", low: Lowered, *, known_samples: bool, compute: Compute
) -> NDArray[np.float32]:
    """Enlarge the slices of a test scan.

    Every slice goes through as a whole; all are divided by one intensity, the robust scale of the
    low-resolution volume, as `iconet upscale` does.

    Args:
        network: In evaluation mode; with ``known_samples`` one of two channels.
        low: What the methods get to see.
        known_samples: Whether it is given the complex image and the measured k-space, or the
            magnitude.
        compute: Device and precision.

    Returns:
        (S, H, W); of complex predictions the magnitude.
    """
    import torch

    from iconet.network import Samples
    from iconet.upscaling.windows import BATCH_PIXELS

    images, samples = (low.parts, low.samples) if known_samples else (low.magnitude, None)
    if images is None:
        raise ValueError("known samples, but the scan was degraded without undersampling it")
    device = compute.device
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    bright = robust_scale(low.magnitude.numpy())
    together = max(1, BATCH_PIXELS[device.type] // (images.shape[-2] * images.shape[-1]))
    predicted = []
    with torch.inference_mode(), compute.autocast():
        for start in range(0, len(images), together):
            chosen = slice(start, start + together)
            given = images[chosen].to(device).contiguous(memory_format=torch.channels_last)
            measured = None
            if samples is not None:  # of one coil
                kspace, mask = (each[chosen].to(device) for each in (samples.kspace, samples.mask))
                measured = Samples(kspace, mask)
            intensity = torch.full((len(given), 1, 1, 1), bright, device=device)
            image = network(given, intensity=intensity, samples=measured).image.float()
            predicted.append(image.norm(dim=1) if known_samples else image[:, 0])
    return torch.cat(predicted).cpu().numpy()
