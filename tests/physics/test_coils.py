"""Several receiver coils to one image, where the sensitivities are known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.physics.coils import (
    MOST,
    Coils,
    centre_lines,
    combine,
    compress,
    folded,
    lines_or_samples,
    sense,
    sensitivities,
)
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace

from .simulated_coils import anatomy, coil_maps, measured


def test_sense_undoes_the_aliasing_that_known_coils_tell_apart() -> None:
    maps = coil_maps(6, 32, 48)
    image = torch.polar(anatomy()[0, 0, 40:72, 60:108], torch.ones(32, 48))
    lines = torch.arange(48) % 2 == 0
    folded = torch.where(lines, fft2c(maps * image), 0)
    found = sense(folded, lines, maps)
    before = combine(ifft2c(folded), maps)
    assert (found - image).norm() < 0.06 * image.norm() < 0.2 * (before - image).norm()
    # Known everywhere, only the regularisation is left.
    full = sense(fft2c(maps * image), torch.ones(48) > 0, maps)
    torch.testing.assert_close(full, image / 1.01, rtol=1e-3, atol=1e-4)


def test_sensitivities_are_those_of_the_coils() -> None:
    truth = anatomy()
    kspace, _ = measured(truth, 5, 1, noise=0.0)
    found = sensitivities(kspace[0], 128)
    true = coil_maps(5, 96, 128)
    inside = crop_kspace(truth, 2)[0, 0] > 0.2
    # Up to a phase that all coils share.
    agreement = (found.conj() * true).sum(dim=0).abs()[inside]
    assert agreement.min() > 0.97 and agreement.max() < 1.0001


def test_sensitivities_are_found_in_a_small_centre_too() -> None:
    """Eight lines, and every fourth one: the samples around the centre count too."""
    truth = anatomy()
    kspace, _ = measured(truth, 8, 1, noise=0.0)
    columns = torch.arange(128)
    lines = ((columns - 64 >= -4) & (columns - 64 < 4)) | (columns % 4 == 0)
    found = sensitivities(torch.where(lines, kspace[0], 0), centre_lines(lines))
    inside = crop_kspace(truth, 2)[0, 0] > 0.2
    agreement = (found.conj() * coil_maps(8, 96, 128)).sum(dim=0).abs()[inside]
    assert agreement.quantile(0.05) > 0.996


@pytest.mark.parametrize(
    ("missing", "expected"), [([], 16), ([0], 15), ([3], 9), ([10, 1], 3), ([8], 0), ([9], 1)]
)
def test_lines_around_the_centre_are_counted(missing: list[int], expected: int) -> None:
    lines = torch.ones(16, dtype=torch.bool)
    lines[missing] = False
    assert centre_lines(lines) == expected


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex128, generator=generator)


def _coils(count: int, height: int, width: int, seed: int) -> Coils:
    maps = _random(2, count, height, width, seed=seed)
    maps = maps / maps.abs().square().sum(dim=1, keepdim=True).sqrt()
    mask = _random(2, 1, 1, width, seed=seed + 1).real > 0
    return Coils(maps, mask)


@given(
    coils=st.integers(1, 5),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_the_adjoint_is_the_adjoint(coils: int, height: int, width: int, seed: int) -> None:
    operator = _coils(coils, height, width, seed)
    image, kspace = _random(2, 1, height, width), _random(2, coils, height, width, seed=7)
    left = (operator.measure(image).conj() * kspace).sum()
    right = (image.conj() * operator.adjoint(kspace)).sum()
    torch.testing.assert_close(left, right)


@given(coils=st.integers(1, 4), samples=st.booleans(), seed=st.integers(0, 99))
def test_solving_is_what_linear_algebra_gives(coils: int, samples: bool, seed: int) -> None:
    """Against the dense normal equations, of masks of lines and of single samples."""
    operator = _coils(coils, 4, 5, seed)
    if samples:
        operator = Coils(operator.maps, _random(2, 1, 4, 5, seed=seed).real > 0)
    kspace = _random(2, coils, 4, 5, seed=7)
    found = operator.solve(kspace, 0.1, 60)
    unit = torch.eye(20, dtype=torch.complex128).view(20, 1, 4, 5)
    for index in range(2):
        one = Coils(operator.maps[index], operator.mask[index])
        dense = torch.stack([one.measure(column).flatten() for column in unit], dim=1)
        normal = dense.mH @ dense + 0.1 * torch.eye(20)
        expected = torch.linalg.solve(normal, dense.mH @ kspace[index].flatten())
        torch.testing.assert_close(found[index].flatten(), expected, rtol=1e-6, atol=1e-8)


def test_nothing_missing_gives_the_image_back() -> None:
    maps = _coils(3, 8, 9, 1).maps
    operator = Coils(maps, torch.ones(1, 1, 9, dtype=torch.bool))
    image = _random(2, 1, 8, 9)
    torch.testing.assert_close(operator.adjoint(operator.measure(image)), image)
    torch.testing.assert_close(operator.solve(operator.measure(image), 0.0, 3), image)


def test_the_order_of_coils_and_their_mixing_change_nothing() -> None:
    operator = _coils(4, 8, 9, 1)
    kspace = operator.measure(_random(2, 1, 8, 9))
    image = folded(kspace, operator.maps, operator.mask)
    mixing = torch.linalg.qr(_random(4, 4))[0]
    for matrix in (torch.eye(4, dtype=torch.complex128)[[2, 0, 3, 1]], mixing):
        maps, mixed = (
            torch.einsum("kc,bchw->bkhw", matrix, part) for part in (operator.maps, kspace)
        )
        torch.testing.assert_close(folded(mixed, maps, operator.mask), image)


def test_compression_keeps_what_few_directions_hold() -> None:
    few = _random(5, 16, 16)
    many = torch.einsum("kc,chw->khw", torch.linalg.qr(_random(40, 5))[0], few)
    kept = compress(many, 16)
    assert len(kept) == MOST
    torch.testing.assert_close(kept.abs().square().sum(dim=0), few.abs().square().sum(dim=0))
    assert compress(few, 16) is few


def test_alike_rows_are_lines() -> None:
    lines = torch.tensor([True, False, True])
    assert lines_or_samples(lines.expand(4, 3)).shape == (1, 1, 3)
    samples = lines.repeat(4, 1)
    samples[0] = False
    assert torch.equal(lines_or_samples(samples), samples[None])
