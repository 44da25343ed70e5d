"""Sensitivities of simulated receiver coils: current loops around the field of view."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_GRID = 24  # pixels per side at which fields are computed: they are smooth
_SEGMENTS = 16  # of a loop
_RADIUS = (1.2, 1.8)  # of the array, in half fields of view
_TURN = 0.15  # of the step between two coils, by which each may be off its place
_OVERLAP = (0.9, 1.3)  # a loop's width over the distance to the next one's centre


def coil_array(coils: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draws an array of loops on a cylinder around the slice, such as a head coil.

    A coil receives the transverse magnetic field that a current through it would make at the place
    (the principle of reciprocity; Hoult and Richards, Journal of Magnetic Resonance 24:71-85,
    1976), by the law of Biot and Savart.

    Args:
        coils: How many; 1 is a coil that is equally sensitive everywhere.
        size: (H, W) of the field of view, which is the square [-1, 1] here.
        generator: Source of randomness: the array's radius and turn, widths and places of loops.

    Returns:
        (C, H, W) complex64; the squared magnitudes sum to 1.
    """
    if coils == 1:
        return torch.ones(1, *size, dtype=torch.complex64)
    radius, turn, overlap = (
        low + (high - low) * float(torch.rand((), generator=generator))
        for low, high in (_RADIUS, (0, 2 * math.pi), _OVERLAP)
    )
    step = 2 * math.pi / coils
    places = torch.arange(coils) + _TURN * (2 * torch.rand(coils, generator=generator) - 1)
    field = _fields(turn + step * places, radius, radius * math.sin(min(step, 1.5) / 2) * overlap)
    parts = torch.cat([field.real, field.imag])[None]
    real, imaginary = F.interpolate(parts, size, mode="bicubic", align_corners=False)[0].chunk(2)
    maps = torch.complex(real, imaginary)
    return maps / maps.abs().square().sum(dim=0).sqrt()


def _fields(angles: Tensor, radius: float, loop: float) -> Tensor:
    """B_x - i B_y (C, G, G) of loops that face the axis of the cylinder, in the plane z = 0."""
    around = torch.arange(_SEGMENTS + 1) * (2 * math.pi / _SEGMENTS)
    x, y = (radius * part(angles)[:, None] for part in (torch.cos, torch.sin))
    along = loop * around.cos()  # along the circle of the array
    corners = torch.stack(
        [
            x - along * angles.sin()[:, None],
            y + along * angles.cos()[:, None],
            (loop * around.sin()).expand(len(angles), -1),
        ],
        dim=-1,
    )
    current, middle = corners.diff(dim=1), (corners[:, 1:] + corners[:, :-1]) / 2
    places = (torch.arange(_GRID) + 0.5) / _GRID * 2 - 1
    grid_y, grid_x = torch.meshgrid(places, places, indexing="ij")
    points = torch.stack([grid_x, grid_y, torch.zeros_like(grid_x)], dim=-1)
    away = points[:, :, None] - middle[:, None, None]  # (C, G, G, segments, 3)
    cubed = away.square().sum(dim=-1, keepdim=True).pow(-1.5)
    field = (torch.linalg.cross(current[:, None, None].expand_as(away), away) * cubed).sum(dim=-2)
    return torch.complex(field[..., 0], -field[..., 1])
