import math

import pytest
import torch

from iconet.physics.noise import complex_noise, rician

COUNT = 400_000  # of voxels; standard errors below are a few times 1e-3


def seeded(device="cpu", seed=7):
    return torch.Generator(device=device).manual_seed(seed)


def test_noise_is_white_gaussian_in_both_channels():
    noise = complex_noise(torch.zeros(COUNT), 2.5, seeded())
    for channel in (noise.real, noise.imag):
        assert abs(channel.mean()) < 0.02
        assert channel.std() == pytest.approx(2.5, rel=0.01)
        assert (channel**4).mean() == pytest.approx(3 * 2.5**4, rel=0.03)
    assert abs((noise.real * noise.imag).mean()) < 0.03
    assert abs((noise.real[1:] * noise.real[:-1]).mean()) < 0.03


def test_magnitude_of_noise_alone_has_the_rayleigh_mean():
    magnitude = rician(torch.zeros(COUNT), 3.0, seeded())
    assert magnitude.mean() == pytest.approx(3.0 * math.sqrt(math.pi / 2), rel=0.005)
    assert magnitude.var() == pytest.approx((2 - math.pi / 2) * 9, rel=0.01)


@pytest.mark.parametrize("signal", [0.0, 1.0, 4.0, 100.0])
def test_second_moment_is_rician(signal):
    magnitude = rician(torch.full((COUNT,), signal), 2.0, seeded())
    assert (magnitude**2).mean() == pytest.approx(signal**2 + 2 * 2.0**2, rel=0.01)


def test_moments_do_not_depend_on_the_phase():
    phase = torch.linspace(0, 2 * math.pi, COUNT)
    magnitude = rician(torch.polar(torch.full((COUNT,), 5.0), phase), 2.0, seeded())
    assert (magnitude**2).mean() == pytest.approx(25 + 8, rel=0.01)


def test_noise_level_per_image():
    sigma = torch.tensor([0.0, 1.0, 10.0]).reshape(3, 1, 1, 1)
    image = torch.rand(3, 1, 128, 128)
    noise = complex_noise(image, sigma, seeded())
    assert noise.shape == image.shape
    assert noise.real.std(dim=(1, 2, 3)).tolist() == pytest.approx([0, 1, 10], rel=0.03)
    assert torch.equal(rician(image, sigma, seeded())[0], image[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_reproducible_on_every_device(device, dtype):
    image = torch.ones(4, 5, dtype=dtype, device=device)
    first, again, other = (complex_noise(image, 1.0, seeded(device, seed)) for seed in (1, 1, 2))
    assert first.device.type == device.type
    assert first.dtype == (torch.complex128 if dtype == torch.float64 else torch.complex64)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # A generator on the CPU gives the same noise wherever the image is.
    assert torch.equal(
        complex_noise(image, 1.0, seeded()).cpu(), complex_noise(image.cpu(), 1.0, seeded())
    )
