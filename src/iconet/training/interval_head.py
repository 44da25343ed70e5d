"""Training the head that says how far the truth may lie from a trained network's image."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch

from iconet.data import Volume
from iconet.network import ICONet, IntervalHead
from iconet.network.grids import MULTIPLE
from iconet.network.interval import magnitude, pinball_loss
from iconet.physics.degradation import DegradationMix
from iconet.physics.kspace import resize_kspace
from iconet.runtime.device import choose_compute
from iconet.training.parts import make_sampler
from iconet.training.recipe import Recipe

STEPS = 8000
BATCH = 8
PATCH = {2: 96, 4: 128, 8: 256}  # of high-resolution pixels, by the scale
RATE = 2e-3
SEED = 29

MIX = DegradationMix(
    kspace=0.6,
    windowed=0.13,
    blurred=0.07,
    averaged=0.07,
    resampled=0.08,
    interpolated=0.05,
    noise_probability=0.25,
    noise_max=0.04,
)
"""How slices lose their resolution, for networks that know little else than crops of k-space: they
must know where they fail."""


def train_head(
    network: ICONet,
    recipe: Recipe,
    volumes: Sequence[Volume],
    *,
    steps: int = STEPS,
    seed: int = SEED,
) -> IntervalHead:
    """Train a head on the scans that the network was trained on.

    The network stays as it is. The same arguments give the same head on one machine. Slices lose
    their resolution as the recipe says, or by `MIX`. Every scan is there once more with half of its
    matrix: what the network did not see in training, users have.

    Args:
        network: Trained; without a head.
        recipe: That it was trained by.
        volumes: Training volumes.
        steps: So many batches.
        seed: Of the batches and of the first weights.
    """
    recipe = _of_heads(recipe, seed)
    least = recipe.optimisation.patch
    coarse = [_coarser(volume) for volume in volumes if min(volume.slices.shape[1:]) >= 2 * least]
    sampler = make_sampler(recipe, [*volumes, *coarse], 0, 1)
    torch.manual_seed(seed)
    head = IntervalHead(network.width)
    network = network.with_head(head).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    compute = choose_compute("cpu")
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    head.requires_grad_(True)
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    began, mean = time.monotonic(), 0.0
    for step in range(steps):
        batch = sampler(step)
        with compute.autocast():
            output = network(batch.low, torch.ones(len(batch.low), 1, 1, 1), batch.samples)
        interval = output.stages[-1].interval
        assert interval is not None  # it has the head
        image, truth = magnitude(output.image.detach().float()), magnitude(batch.clean[-1])
        loss = pinball_loss(image, interval, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean += (loss.item() - mean) / min(step + 1, 100)
        if (step + 1) % 250 == 0:
            seconds = time.monotonic() - began
            print(f"step {step + 1}: pinball {mean:.5f}, {seconds:.0f} s", file=sys.stderr)
    head.eval().requires_grad_(False)
    for parameter in head.parameters():
        parameter.copy_(parameter.half())  # as it is stored: it is calibrated so
    return head


def _coarser(volume: Volume) -> Volume:
    """The centre of its k-space: half of the matrix along both axes of a slice."""
    size = tuple(MULTIPLE * round(side / (2 * MULTIPLE)) for side in volume.slices.shape[1:])
    parts = volume.slices.split(16)
    made = torch.cat([resize_kspace(part.float(), size).abs().half() for part in parts])  # type: ignore[arg-type]
    return replace(volume, slices=made)


def _of_heads(recipe: Recipe, seed: int) -> Recipe:
    """What a recipe becomes for the head."""
    joint = recipe.task.kind == "joint"
    patch = recipe.optimisation.patch
    if not joint:  # no larger than the scans of the recipe are
        patch = min(patch, PATCH[recipe.scale])
    rest = {"batch": 2 if joint else BATCH, "patch": patch}
    change: dict[str, object] = {
        "optimisation": recipe.optimisation.model_copy(update=rest),
        "seed": seed,
    }
    if recipe.task.kind == "super-resolution" and _mostly_crops(recipe):
        change["degradation"] = recipe.degradation.model_copy(update=asdict(MIX))
    return recipe.model_copy(update=change)


def _mostly_crops(recipe: Recipe) -> bool:
    mix = recipe.degradation.model_dump()
    return mix["kspace"] > 0.5 * sum(mix[way] for way in DegradationMix.ways)
