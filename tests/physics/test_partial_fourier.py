"""Partial Fourier: recognised where one side is missing and nowhere else, and filled in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.physics.coils import centre_lines
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace
from iconet.physics.partial_fourier import fill, partial_fourier
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.undersampling import cartesian_mask

from .simulated_coils import anatomy, coil_maps


@given(
    width=st.integers(32, 512),
    eighths=st.sampled_from([5, 6, 7]),
    left=st.booleans(),
    padding=st.integers(0, 30),
    step=st.sampled_from([1, 2]),
)
def test_five_to_seven_eighths_are_recognised_on_either_side(
    width: int, eighths: int, left: bool, padding: int, step: int
) -> None:
    """Whatever zeros lie around it, and with every second line as well."""
    width += width % 2
    count = round(width * eighths / 8)
    lines = torch.arange(width) < count
    if left:
        lines = lines.flip(0)
    if step == 2 and width > 64:
        there = torch.arange(width) % 2 == 0
        there[width // 2 - 4 : width // 2 + 5] = True
        lines = lines & there
    lines = torch.cat([torch.zeros(padding) > 0, lines, torch.zeros(padding) > 0])
    found = partial_fourier(lines)
    assert found == pytest.approx(eighths / 8, abs=1.5 / width + 0.5 * step / width)


@given(
    width=st.integers(16, 400),
    crop=st.integers(0, 100),
    step=st.integers(1, 6),
    offset=st.integers(0, 5),
)
def test_full_and_symmetric_sampling_are_not(width: int, crop: int, step: int, offset: int) -> None:
    """Low phase resolution, and every n-th line from any first one."""
    frequency = torch.arange(width) - width // 2
    lines = frequency.abs() <= max(4, width // 2 - crop)
    assert partial_fourier(lines) is None
    assert partial_fourier(
        lines & ((frequency % step == offset % step) | (frequency.abs() < 4))
    ) is (None)


@given(
    width=st.integers(64, 320),
    acceleration=st.floats(1.5, 6),
    kind=st.sampled_from(["random", "equispaced"]),
    seed=st.integers(0, 10**6),
)
def test_undersampled_lines_are_not(width: int, acceleration: float, kind, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    lines = cartesian_mask(
        width, acceleration=acceleration, centre_fraction=0.08, kind=kind, generator=generator
    )
    found = partial_fourier(lines)
    # By chance a mask at random may leave out a side as partial Fourier does.
    left, right = width // 2 - int(lines.nonzero()[0]), int(lines.nonzero()[-1]) - width // 2
    assert found is None or abs(left - right) > 0.18 * max(left, right)


def test_a_missing_centre_is_none() -> None:
    assert partial_fourier(torch.arange(32) > 20) is None
    assert partial_fourier(torch.zeros(32) > 0) is None


def test_a_real_image_comes_back_exactly() -> None:
    """k-space of a positive image is symmetric: half of it says all."""
    truth = anatomy()[0, 0, ::2, ::2]
    kspace = fft2c(truth.to(torch.complex64))[None]
    lines = torch.arange(truth.shape[1]) < round(0.625 * truth.shape[1])
    missing = torch.where(lines, kspace, 0)
    found = fill(missing, torch.ones_like(missing), lines.expand_as(truth))[0]
    before = (ifft2c(missing)[0].abs() - truth).norm()
    assert (found.abs() - truth).norm() < 0.35 * before


@pytest.mark.parametrize("coils", [1, 6])
@pytest.mark.parametrize(("share", "part"), [(0.625, 0.6), (0.75, 0.5), (0.875, 0.65)])
def test_anatomy_with_a_smooth_phase_is_filled_in(coils: int, share: float, part: float) -> None:
    truth = anatomy()
    phase = smooth_phase(tuple(truth.shape), generator=torch.Generator().manual_seed(1))
    maps = coil_maps(coils, 96, 128).to(torch.complex64) if coils > 1 else torch.ones(1, 96, 128)
    low = crop_kspace(torch.polar(truth, phase), 2)[0]
    lines = torch.arange(128) >= round((1 - share) * 128)
    kspace = torch.where(lines, fft2c(maps * low), 0)
    found = fill(kspace, maps + 0j, lines.expand(96, 128))
    zero_filled = (maps.conj() * ifft2c(kspace)).sum(dim=0)
    error, before = ((each.abs() - low.abs()).norm() for each in (found, zero_filled))
    assert error < part * before
    # What was measured stays nearly as it was.
    seen = torch.where(lines, fft2c(maps * found), 0)
    assert (seen - kspace).norm() < 0.01 * kspace.norm()
    assert centre_lines(lines) > 8
