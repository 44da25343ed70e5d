"""Fits what tells how a scan lost its resolution, to the answers of the trained network."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from iconet.data import Volume
from iconet.network import ICONet
from iconet.network.description import CROP, OTHER, WAYS, Way, evidence
from iconet.physics.blur import gaussian_blur
from iconet.physics.degradation import DegradationMix
from iconet.physics.point_spread import POINT_SPREADS, acquired_through
from iconet.training.checkpoint import write_safetensors
from iconet.zoo.loading import load
from iconet.zoo.model import SMALLEST
from iconet.zoo.weights_file import read_weights

SLICES = 3600
STEPS, BATCH, RATE = 3000, 256, 5e-3
CROPS, STORED = 0.25, 0.25
"""Shares of the slices that are crops of k-space, and that are left as they were stored: these are
what a scanner made of k-space, too. The other ways of a mix have equal shares of the rest."""

SMOOTH, FWHM = 0.6, (0.4, 1.6)
"""Share of these that are smooth, as maps and filtered scans are, and how smooth, in voxels. What
folds down when a program makes an image smaller is not there, so nothing is to be undone."""

UNDONE = "windowed"
"""The way of a mix that is left out: windows over k-space are undone before a network sees them."""


def fit_way_of(weights: Path, volumes: Sequence[Volume], mix: DegradationMix, *, seed: int) -> None:
    """Fit `network.way` of a file of weights, unless it was; see `fit_way`."""
    network = load(weights)
    assert isinstance(network, ICONet) and network.way is not None
    if network.way.is_fitted:
        return
    metadata, _ = read_weights(weights)
    told = fit_way(network, volumes, mix, seed=seed)
    write_safetensors(network.state_dict(), weights, {**metadata, "way_told": f"{told:.3f}"})
    print(f"how a scan lost its resolution is told for {100 * told:.0f} % of slices", flush=True)


def fit_way(network: ICONet, volumes: Sequence[Volume], mix: DegradationMix, *, seed: int) -> float:
    """Fit `network.way`, in place; nothing else of the network changes.

    Args:
        network: trained, in evaluation mode, one that is told of the image.
        volumes: the scans it was trained on.
        mix: and how they lost their resolution.
        seed: any integer, 0 or more.

    Returns:
        The share of these slices whose way is told.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        way = network.way = Way()
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        examples = list(_examples(network, volumes, mix, generator))
    given, truth = (torch.cat(found).clone() for found in zip(*examples, strict=True))
    way.mean.copy_(given.mean(dim=0))
    way.deviation.copy_(given.std(dim=0).clamp_min(1e-6))
    way.requires_grad_(True)
    optimizer = torch.optim.AdamW(way.parameters(), RATE, weight_decay=0.03)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        chosen = torch.randint(len(given), (BATCH,), generator=generator)
        optimizer.zero_grad()
        F.nll_loss(way(given[chosen]), truth[chosen]).backward()
        optimizer.step()
    way.requires_grad_(False)
    return float((way(given).argmax(dim=1) == truth).float().mean())


def _examples(
    network: ICONet, volumes: Sequence[Volume], mix: DegradationMix, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Evidence (1, n) and number of the way (1,)."""
    scale = network.scale
    large = [v for v in volumes if min(v.slices.shape[1:]) >= 2 * SMALLEST * scale]
    others = [name for name in mix.ways if getattr(mix, name) > 0]
    others = [name for name in others if name not in ("kspace", UNDONE)]
    rest = (1 - CROPS - STORED) / max(1, len(others))
    shares = torch.tensor([CROPS, STORED, *(rest for _ in others)])
    for number in range(SLICES if large else 0):
        volume = large[number % len(large)]
        index = int(torch.randint(len(volume.slices), (1,), generator=generator))
        clean = volume.slices[index][None, None].float()
        clean = clean[..., : clean.shape[-2] // scale * scale, : clean.shape[-1] // scale * scale]
        drawn = int(torch.multinomial(shares, 1, generator=generator))
        name = ("kspace", None, *others)[drawn]
        if drawn < 2:
            clean = _perhaps_smooth(clean, 1 if name is None else scale, generator)
        low, truth = clean, CROP
        if name is not None:
            alone = replace(mix, **{way: float(way == name) for way in mix.ways})
            low = alone(clean, scale, generator, torch.ones(1, 1, 1, 1))
            truth = _way(name, low, clean)
        # As the program asks: in bfloat16 where that is fast.
        with torch.autocast("cpu", torch.bfloat16, enabled=number % 2 == 0):
            found = evidence(network, low[0, 0])
        yield found, torch.tensor([WAYS.index(truth)])


def _perhaps_smooth(image: Tensor, voxel: int, generator: torch.Generator) -> Tensor:
    smooth, share = torch.rand(2, generator=generator).tolist()
    fwhm = FWHM[0] + (FWHM[1] - FWHM[0]) * share
    return gaussian_blur(image, voxel * fwhm) if smooth < SMOOTH else image


def _way(name: str, low: Tensor, clean: Tensor) -> str:
    """The one of `WAYS` that a way of `DegradationMix` is."""
    if name == "kspace":
        return CROP
    if name not in ("averaged", "resampled"):
        return OTHER
    factor = clean.shape[-1] // low.shape[-1]

    def misfit(spread: str) -> float:
        return float((acquired_through(spread, clean, factor) - low).square().sum())

    return min(POINT_SPREADS, key=misfit)
