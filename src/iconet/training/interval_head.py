"""Training the head that says how far the truth may lie from a trained network's image."""

import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from iconet.data import Volume
from iconet.network import ICONet, IntervalHead
from iconet.network.interval import pinball_loss
from iconet.training.parts import make_sampler
from iconet.training.recipe import Recipe

STEPS = 1500
BATCH = 8
PATCH = {2: 96, 4: 128, 8: 256}  # of high-resolution pixels, by the scale
RATE = 3e-3
SEED = 29


def train_head(
    network: ICONet,
    recipe: Recipe,
    volumes: Sequence[Volume],
    *,
    steps: int = STEPS,
    seed: int = SEED,
) -> IntervalHead:
    """Train a head on what the network was trained on, degraded by the same mix.

    The network stays as it is. The same arguments give the same head on one machine.

    Args:
        network: Trained; without a head.
        recipe: That it was trained by: its task, mix and weights of data sets.
        volumes: Training volumes.
        steps: So many batches.
        seed: Of the batches and of the first weights.
    """
    joint = recipe.task.kind == "joint"
    patch = recipe.optimisation.patch
    if not joint:  # no larger than the scans of the recipe are
        patch = min(patch, PATCH[recipe.scale])
    rest = {"batch": 2 if joint else BATCH, "patch": patch}
    optimisation = recipe.optimisation.model_copy(update=rest)
    recipe = recipe.model_copy(update={"optimisation": optimisation, "seed": seed})
    sampler = make_sampler(recipe, list(volumes), 0, 1)
    torch.manual_seed(seed)
    head = IntervalHead(network.width)
    network = network.with_head(head).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    head.requires_grad_(True)
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    began, mean = time.monotonic(), 0.0
    for step in range(steps):
        batch = sampler(step)
        output = network(batch.low, torch.ones(len(batch.low), 1, 1, 1), batch.samples)
        interval = output.stages[-1].interval
        assert interval is not None  # it has the head
        image, truth = magnitude(output.image.detach()), magnitude(batch.clean[-1])
        loss = pinball_loss(image, interval, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean += (loss.item() - mean) / min(step + 1, 100)
        if (step + 1) % 250 == 0:
            seconds = time.monotonic() - began
            print(f"step {step + 1}: pinball {mean:.5f}, {seconds:.0f} s", file=sys.stderr)
    return head.eval().requires_grad_(False)


def magnitude(image: Tensor) -> Tensor:
    """(B, c, H, W) of real images, or of the parts of complex ones, as (B, 1, H, W)."""
    return image if image.shape[1] == 1 else torch.linalg.vector_norm(image, dim=1, keepdim=True)
