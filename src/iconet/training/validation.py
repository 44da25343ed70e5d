"""How good the network is on validation scans, for choosing and nothing else."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from iconet.data.volumes import Volume
from iconet.physics.kspace import crop_kspace

SLICES = 2  # taken from each volume, evenly spaced


class Validation:
    """Mean PSNR over validation slices with a plain k-space crop, inside the foreground.

    Quick and for choosing only: the data range is the maximum of the slice, the foreground what is
    above a tenth of the volume's robust scale. Numbers to report are `iconet.evaluation`'s.

    Args:
        volumes: Validation volumes.
        scale: 2, 4 or 8.
        device: Where to compute.
    """

    def __init__(self, volumes: Sequence[Volume], scale: int, device: torch.device) -> None:
        self.pairs: list[tuple[str, Tensor, Tensor]] = []
        for volume in volumes:
            count = len(volume.slices)
            for i in range(min(SLICES, count)):
                number = count * (i + 1) // (SLICES + 1)
                truth = volume.slices[number].to(device).float()[None, None]
                self.pairs.append((volume.dataset, crop_kspace(truth, scale).abs(), truth))

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """PSNR in dB of each data set, and their mean as ``mean``."""
        values: dict[str, list[float]] = {}
        for dataset, low, truth in self.pairs:
            with torch.inference_mode():
                prediction = model(low, torch.ones_like(low[..., :1, :1])).image
            foreground = truth > 0.1
            error = (prediction - truth)[foreground].square().mean()
            psnr = 20 * truth.max().log10() - 10 * error.log10()
            values.setdefault(dataset, []).append(float(psnr))
        means = {dataset: sum(v) / len(v) for dataset, v in values.items()}
        return {**means, "mean": sum(means.values()) / len(means)}
