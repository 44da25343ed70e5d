"""How good the network is on validation scans, for choosing and nothing else."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.data.sampling import real_and_imaginary
from iconet.data.volumes import Volume
from iconet.network import Samples
from iconet.physics.acquisition import Acquisition
from iconet.physics.kspace import crop_kspace, resize_kspace
from iconet.physics.slice_profile import thick_slices

SLICES = 2  # taken from each volume, evenly spaced
# What networks for the joint task are compared on, whatever they were trained on.
ACQUISITION = Acquisition(
    acceleration=(4.0, 4.0), centre_fraction=0.08, mask="random", noise_min=0.01, noise_max=0.01
)


class Pair(NamedTuple):
    """One slice: what the network is given and what the magnitude of its image should be.

    Attributes:
        dataset: Name of the data set.
        low: (1, c, h, w).
        truth: (1, 1, H, W) magnitude.
        samples: What was measured, if the network is told.
    """

    dataset: str
    low: Tensor
    truth: Tensor
    samples: Samples | None


class Validation:
    """Mean PSNR over validation slices, inside the foreground, of the image's magnitude.

    Quick and for choosing only: the data range is the maximum of the slice, the foreground what is
    above a tenth of the volume's robust scale. Numbers to report are `iconet.evaluation`'s.

    Args:
        volumes: Validation volumes.
        scale: 2, 4 or 8.
        device: Where to compute.
        acquisition: Of the joint task: how whole slices are measured, each in a way of its own that
            its volume's name and its number decide. A plain k-space crop if None.
        known_samples: Whether the network is given complex images and what was measured; magnitude
            images if not.
        through_plane: Whether rows become thick slices, of a Gaussian profile without gaps, and
            only rows are to be enlarged: what the network adds to the columns is cut off.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        scale: int,
        device: torch.device,
        *,
        acquisition: Acquisition | None = None,
        known_samples: bool = False,
        through_plane: bool = False,
    ) -> None:
        self.pairs: list[Pair] = []
        for volume in volumes:
            count = len(volume.slices)
            for i in range(min(SLICES, count)):
                number = count * (i + 1) // (SLICES + 1)
                truth = volume.slices[number].float()[None, None]
                samples = None
                if through_plane:
                    low = thick_slices(truth.mT, scale, profile="gaussian").mT
                else:
                    low = crop_kspace(truth, scale).abs()
                if acquisition:
                    # A larger field of view: networks take samples at multiples of 4 pixels.
                    height, width = (-length % (4 * scale) for length in truth.shape[2:])
                    truth = F.pad(truth, (0, width, 0, height))
                    seed = zlib.crc32(f"{volume.name} {number}".encode())
                    generator = torch.Generator().manual_seed(seed)
                    measured = acquisition(truth, scale, generator, torch.ones(1, 1, 1, 1))
                    low = measured.image.abs()
                    if known_samples:
                        low = real_and_imaginary(measured.image)
                        maps = None if measured.maps is None else measured.maps.to(device)
                        samples = Samples(
                            measured.kspace.to(device), measured.mask.to(device), maps
                        )
                pair = Pair(volume.dataset, low.to(device), truth.to(device), samples)
                self.pairs.append(pair)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """PSNR in dB of each data set, and their mean as ``mean``."""
        values: dict[str, list[float]] = {}
        for dataset, low, truth, samples in self.pairs:
            with torch.inference_mode():
                prediction = model(low, torch.ones_like(low[:, :1, :1, :1]), samples).image
            if prediction.shape[1] == 2:
                prediction = prediction.norm(dim=1, keepdim=True)
            if prediction.shape[-2:] != truth.shape[-2:]:
                prediction = resize_kspace(prediction, (truth.shape[-2], truth.shape[-1]))
            foreground = truth > 0.1
            error = (prediction - truth)[foreground].square().mean()
            psnr = 20 * truth.max().log10() - 10 * error.log10()
            values.setdefault(dataset, []).append(float(psnr))
        means = {dataset: sum(v) / len(v) for dataset, v in values.items()}
        return {**means, "mean": sum(means.values()) / len(means)}
