"""Measured samples are kept; what was not measured is the network's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.network import DataConsistency, Samples
from iconet.network.kspace.consistency import measured_of
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace, resize_kspace, zero_fill
from iconet.physics.undersampling import cartesian_mask


def _hard() -> DataConsistency:
    layer = DataConsistency()
    torch.nn.init.constant_(layer.weight, 40.0)
    return layer


def _channels(image: torch.Tensor) -> torch.Tensor:
    return torch.cat([image.real, image.imag], dim=1)


def _complex(image: torch.Tensor) -> torch.Tensor:
    return torch.complex(image[:, :1], image[:, 1:])


def _measured(truth: torch.Tensor, acceleration: float = 3) -> Samples:
    generator = torch.Generator().manual_seed(3)
    mask = cartesian_mask(
        truth.shape[-1], acceleration=acceleration, centre_fraction=0.1, generator=generator
    ).view(1, 1, 1, -1)
    return Samples(fft2c(truth) * mask, mask)


@given(h=st.integers(16, 33), w=st.integers(16, 33), factor=st.sampled_from([1, 2, 4]))
def test_the_low_frequencies_become_those_measured(h: int, w: int, factor: int) -> None:
    torch.manual_seed(h * w)
    truth = torch.randn(2, 1, h, w, dtype=torch.complex64)
    # Without its Nyquist samples, which lie half inside the band of a larger image.
    truth = resize_kspace(resize_kspace(truth, (h - 2, w - 2)), (h, w))
    samples = _measured(truth)
    image = torch.randn(2, 2, factor * h, factor * w)
    result = _complex(_hard()(image, samples))
    low = fft2c(crop_kspace(result, factor))
    if h % 2 == 0 or w % 2 == 0:
        low, kspace = low[..., 1:, 1:], samples.kspace[..., 1:, 1:]
    else:
        kspace = samples.kspace
    mask = samples.mask[..., -kspace.shape[-1] :].expand_as(kspace)
    torch.testing.assert_close(low[mask], kspace[mask], atol=2e-5, rtol=0)


def test_what_was_not_measured_is_left_alone() -> None:
    truth = torch.randn(1, 1, 24, 24, dtype=torch.complex64)
    samples = _measured(truth)
    image = torch.randn(1, 2, 24, 24)
    change = fft2c(_complex(_hard()(image, samples) - image))
    assert change[~samples.mask.expand_as(change)].abs().max() < 1e-5
    assert change.abs().max() > 0.1


def test_the_true_image_is_a_fixed_point() -> None:
    truth = zero_fill(torch.randn(1, 1, 11, 9, dtype=torch.complex64), 2)
    for image in (truth, zero_fill(truth, 2)):
        got = DataConsistency()(_channels(image), _measured(truth))
        torch.testing.assert_close(got, _channels(image), atol=1e-5, rtol=0)


def test_half_a_weight_goes_half_of_the_way() -> None:
    layer = DataConsistency()
    torch.nn.init.zeros_(layer.weight)
    truth = torch.randn(1, 1, 16, 16, dtype=torch.complex64)
    samples = Samples(fft2c(truth), torch.ones(1, 1, 1, 16, dtype=torch.bool))
    image = torch.randn(1, 2, 16, 16)
    expected = (image + _channels(truth)) / 2
    torch.testing.assert_close(layer(image, samples), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [1, 2])
def test_gradients_reach_image_and_weight(factor: int) -> None:
    layer = DataConsistency()
    image = torch.randn(1, 2, 16 * factor, 16 * factor, requires_grad=True)
    layer(
        image, _measured(torch.randn(1, 1, 16, 16, dtype=torch.complex64))
    ).square().sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert layer.weight.grad is not None and layer.weight.grad != 0


def test_training_works_after_a_prediction_of_the_same_size() -> None:
    image, samples = torch.randn(1, 2, 38, 38), _measured(torch.randn(1, 1, 19, 19) + 0j)
    layer = DataConsistency()
    with torch.inference_mode():
        layer(image, samples)
    layer(image.requires_grad_(), samples).sum().backward()
    assert image.grad is not None


def _several(count: int, height: int, width: int) -> tuple[torch.Tensor, Samples]:
    """A true image and what coils measured of it along every second line."""
    truth = torch.randn(1, 1, height, width, dtype=torch.complex64)
    maps = torch.randn(1, count, height, width, dtype=torch.complex64)
    maps = maps / maps.abs().square().sum(dim=1, keepdim=True).sqrt()
    mask = (torch.arange(width) % 2 == 0).view(1, 1, 1, -1)
    return truth, Samples(fft2c(maps * truth) * mask, mask, maps)


def test_one_coil_that_sees_all_alike_is_no_coil() -> None:
    truth = torch.randn(2, 1, 18, 20, dtype=torch.complex64)
    plain = _measured(truth)
    image, layer = torch.randn(2, 2, 36, 40), DataConsistency()
    coil = plain._replace(maps=torch.ones_like(plain.kspace))
    torch.testing.assert_close(layer(image, coil), layer(image, plain), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(measured_of(image, coil), measured_of(image, plain))


def test_with_coils_the_true_image_is_a_fixed_point() -> None:
    truth, samples = _several(4, 16, 18)
    got = DataConsistency()(_channels(truth), samples)
    torch.testing.assert_close(got, _channels(truth), atol=1e-5, rtol=0)
    torch.testing.assert_close(measured_of(got, samples), samples.kspace, atol=1e-4, rtol=0)


def test_coils_bring_any_image_nearer_to_what_they_measured() -> None:
    _, samples = _several(4, 16, 18)
    image = torch.randn(1, 2, 32, 36)
    got = DataConsistency()(image, samples)
    before, after = ((measured_of(each, samples) - samples.kspace).norm() for each in (image, got))
    assert after < 0.2 * before
    order = samples._replace(kspace=samples.kspace.flip(1), maps=samples.maps.flip(1))
    torch.testing.assert_close(DataConsistency()(image, order), got, atol=1e-4, rtol=0)


def test_gradients_pass_through_coils() -> None:
    _, samples = _several(3, 16, 16)
    image, layer = torch.randn(1, 2, 16, 16, requires_grad=True), DataConsistency()
    layer(image, samples).square().sum().backward()
    assert image.grad is not None and image.grad.isfinite().all()
    assert layer.weight.grad is not None and layer.weight.grad != 0
