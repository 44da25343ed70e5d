"""How residuals are compared with the noise of the samples."""

import pytest
import torch

from iconet.physics.residuals import Residuals


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex64, generator=generator)


def test_residuals_that_are_the_noise_are_as_large_as_the_noise() -> None:
    """The signal lies in the inner rows; one sample has a root mean square of 1, times 0.2."""
    truth = 20 * noise(3, 64, 48, seed=1)
    truth[:, :8] = truth[:, -8:] = 0
    mask = torch.arange(48).expand(64, 48) % 3 == 0
    residuals = Residuals()
    for index in range(2):
        residuals.add(truth + 0.2 * noise(3, 64, 48, seed=2 + index), truth, mask)
    found = residuals.summary()
    assert found is not None
    assert found.residual_over_noise == pytest.approx(1, abs=0.12)
    assert found.noise == pytest.approx(0.2, rel=0.12)
    assert found.relative_residual == pytest.approx(0.2 / (20 * (48 / 64) ** 0.5), rel=0.06)


def test_an_image_that_agrees_has_none() -> None:
    samples, mask = noise(1, 16, 16), torch.ones(16, 16, dtype=torch.bool)
    residuals = Residuals()
    residuals.add(samples, samples, mask)
    found = residuals.summary()
    assert found is not None and found.residual_over_noise == found.relative_residual == 0


def test_what_was_not_measured_does_not_count() -> None:
    samples, mask = noise(1, 16, 16), torch.zeros(16, 16, dtype=torch.bool)
    residuals = Residuals()
    residuals.add(samples, 0 * samples, mask)
    assert residuals.summary() is None
    mask[:, 3] = True
    residuals.add(samples, torch.where(mask, samples, 99), mask)
    assert residuals.summary().relative_residual == 0
