"""Anatomy measured by coils on a ring around the field of view."""

from pathlib import Path

import torch

from iconet import zoo
from iconet.images import read
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.undersampling import cartesian_mask

DEMO_SCAN = Path(zoo.__file__).parents[1] / "demo_scan" / "sub-01_T1w_slab.nii.gz"


def coil_maps(coils: int, height: int, width: int) -> torch.Tensor:
    """Coils on a ring around the field of view, their squares summing to 1."""
    y = ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]
    x = (torch.arange(width) + 0.5) / width * 2 - 1
    angle = 2 * torch.pi * torch.arange(coils)[:, None, None] / coils
    dy, dx = y - 1.4 * angle.sin(), x - 1.4 * angle.cos()
    maps = torch.polar(1 / (0.5 + dy**2 + dx**2), torch.atan2(dy, dx) + angle)
    return maps / maps.abs().square().sum(dim=0).sqrt()


def anatomy(slices: int = 1) -> torch.Tensor:
    """(S, 1, 192, 256) of the demo scan, its maximum 1."""
    array = torch.from_numpy(read(DEMO_SCAN).array[..., 18 : 18 + slices]).permute(2, 0, 1)
    return (array / array.max())[:, None]


def measured(
    truth: torch.Tensor, coils: int, acceleration: float, noise: float = 0.003, even: bool = False
):
    """k-space (S, C, 96, 128) of half the resolution and the mask of lines."""
    generator = torch.Generator().manual_seed(3)
    phase = smooth_phase(tuple(truth.shape), generator=generator)
    maps = coil_maps(coils, *truth.shape[-2:]) if coils > 1 else torch.ones(1, 1, 1)
    kspace = fft2c(crop_kspace(torch.polar(truth, phase) * maps, 2))
    kspace = kspace + noise * torch.randn(kspace.shape, generator=generator, dtype=kspace.dtype)
    lines = kspace.shape[-1]
    if even:  # as scanners do: every n-th line, and calibration lines
        mask = torch.arange(lines) % acceleration == 0
        mask[lines // 2 - 9 : lines // 2 + 9] = True
    else:
        mask = cartesian_mask(
            lines, acceleration=acceleration, centre_fraction=0.14, generator=generator
        )
    return torch.where(mask if acceleration > 1 else torch.ones(lines) > 0, kspace, 0), mask
