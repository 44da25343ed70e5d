"""What a recipe asks for: what draws its batches, its optimizer and its validation."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from iconet.data import JointSampler, Sampler, ThroughPlaneSampler, Volume
from iconet.errors import InputError
from iconet.physics.degradation import DegradationMix
from iconet.physics.slice_mix import SliceMix
from iconet.training.muon import Muon
from iconet.training.recipe import SMALLEST_INPUT, Recipe
from iconet.training.validation import ACQUISITION, Validation


def make_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a recipe asks for."""
    options = recipe.optimisation
    shared: dict[str, Any] = {
        "lr": options.learning_rate,
        "betas": (0.9, 0.99),
        "weight_decay": options.weight_decay,
    }
    if options.optimiser == "muon":
        return Muon(network, **shared)
    return torch.optim.AdamW(network.parameters(), fused=True, **shared)


def make_sampler(
    recipe: Recipe, volumes: list[Volume], rank: int, world: int
) -> Sampler | JointSampler:
    """What draws the batches of one of the ``world`` processes that a recipe's run has.

    Raises:
        InputError: If no scan can be used, or a data set with a weight has none.
    """
    data, options, task = recipe.data, recipe.optimisation, recipe.task
    if not volumes:
        raise InputError(f"{data.root}: no training scan could be used")
    datasets = {volume.dataset for volume in volumes}
    for name in data.weights:
        if name not in datasets:
            there = ", ".join(sorted(datasets))
            raise InputError(f"data.weights: no training scan is of '{name}'; there are {there}")
    shared: dict[str, Any] = {
        "weights": data.weights,
        "scale": recipe.scale,
        "patch": options.patch,
        "batch": options.batch,
        "seed": recipe.seed,
        "device": torch.device("cpu"),  # by the workers, while a GPU has better to do
        "rank": rank,
        "world": world,
    }
    if task.kind == "joint":
        acquisition, known = task.acquisition(), task.known_samples
        return JointSampler(volumes, acquisition=acquisition, known_samples=known, **shared)
    if task.kind == "through-plane":
        slices = SliceMix(**recipe.slice_profile.model_dump())
        return ThroughPlaneSampler(volumes, mix=slices, **shared)
    return Sampler(volumes, mix=DegradationMix(**recipe.degradation.model_dump()), **shared)


def make_validation(recipe: Recipe, volumes: list[Volume], device: torch.device) -> Validation:
    """Validation on the task of a recipe; volumes too small for the network are left out."""
    smallest = SMALLEST_INPUT * recipe.scale
    acquisition = ACQUISITION
    if recipe.task.coils != (1, 1):
        # Sensitivities are found in the centre, of which a small scan needs enough lines.
        full = recipe.task.centre_fraction
        acquisition = replace(acquisition, coils=recipe.task.coils, centre_fraction=full)
    return Validation(
        [volume for volume in volumes if min(volume.slices.shape[1:]) >= smallest],
        recipe.scale,
        device,
        acquisition=acquisition if recipe.task.kind == "joint" else None,
        known_samples=recipe.task.known_samples,
        through_plane=recipe.task.kind == "through-plane",
    )
