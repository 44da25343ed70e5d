"""The network as its users see it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from iconet.data.sampling import real_and_imaginary
from iconet.intensity import robust_scale
from iconet.network import SIZES, ICONet, Samples, collaboration_loss
from iconet.network.iconet import robust_scales
from iconet.physics.acquisition import Acquisition
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import resize_kspace

from .small import tiny


@given(st.integers(16, 37), st.integers(16, 37), st.sampled_from([2, 4, 8]))
def test_every_stage_returns_both_images_for_any_size(h: int, w: int, scale: int) -> None:
    with torch.inference_mode():
        output = tiny(scale)(torch.rand(2, 1, h, w))
    assert len(output.stages) == {2: 1, 4: 2, 8: 3}[scale]
    for i, stage in enumerate(output.stages):
        assert stage.reconstruction.shape == (2, 1, h * 2**i, w * 2**i)
        assert stage.super_resolution.shape == (2, 1, h * 2 ** (i + 1), w * 2 ** (i + 1))
    assert torch.equal(output.image, output.stages[-1].super_resolution)
    assert all(bool(image.isfinite().all()) for stage in output.stages for image in stage[:2])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_first_stages_alone_are_the_cascade_cut_short(depth: int) -> None:
    lr = torch.rand(1, 1, 20, 17)
    with torch.inference_mode():
        whole, part = tiny(8)(lr), tiny(8)(lr, depth=depth)
    assert len(part.stages) == depth
    assert torch.equal(part.image, whole.stages[depth - 1].super_resolution)


@pytest.mark.parametrize("factor", [1e-4, 0.37, 2500.0, 1e6])
def test_intensity_scale_does_not_matter(factor: float) -> None:
    lr = torch.rand(1, 1, 24, 20)
    with torch.inference_mode():
        expected, got = tiny()(lr).image * factor, tiny()(lr * factor).image
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * factor)


def test_zero_image_stays_finite() -> None:
    with torch.inference_mode():
        assert bool(tiny()(torch.zeros(1, 1, 16, 16)).image.isfinite().all())


@pytest.mark.parametrize("scale", [2, 4])
def test_gradients_reach_every_parameter_from_the_first_steps(scale: int) -> None:
    torch.manual_seed(0)
    model = ICONet(scale, **SIZES["tiny"])
    lr = torch.rand(2, 1, 16, 16)
    clean = [torch.rand(2, 1, 16 * 2**i, 16 * 2**i) for i in range(len(model.stages) + 1)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):  # what starts at zero passes gradients on once it has moved
        optimizer.zero_grad()
        collaboration_loss(model(lr), clean).backward()
        optimizer.step()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_cost_is_linear_in_the_number_of_pixels(scale: int) -> None:
    def flops(side: int) -> int:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(torch.zeros(1, 1, side, side))
        return counter.get_total_flops()

    model = tiny(scale)
    # A hair under 4 where the margin of the fixed interpolation, the perimeter, is counted too.
    assert 3.99 <= flops(128) / flops(64) <= 4.4


def measured(h: int, w: int, seed: int = 0) -> tuple[Tensor, Samples]:
    """A complex image, zero-filled, and its samples."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(1, 1, h, w, generator=generator) + 0.2
    acquisition = Acquisition(acceleration=(3, 3), noise_max=0.0)
    seen = acquisition(clean, 1, generator, torch.ones(1, 1, 1, 1))
    return real_and_imaginary(seen.image), Samples(seen.kspace, seen.mask)


def complex_tiny(scale: int) -> ICONet:
    torch.manual_seed(0)
    model = ICONet(scale, channels=2, width=8, exchanges=2, rec_units=1, sr_units=1)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.1)
        if "consistency" in name:
            torch.nn.init.constant_(parameter, 30.0)
    return model.eval()


@pytest.mark.parametrize(("scale", "h", "w"), [(2, 24, 24), (2, 21, 27), (4, 24, 30)])
def test_every_image_agrees_with_the_samples(scale: int, h: int, w: int) -> None:
    low, samples = measured(h, w)
    with torch.inference_mode():
        output = complex_tiny(scale)(low, samples=samples)
    for stage in output.stages:
        for image in stage[:2]:
            seen = fft2c(resize_kspace(torch.complex(image[:, :1], image[:, 1:]), (h, w)))
            # The Nyquist samples of even sizes lie half outside of the band of a larger image.
            inner = (..., slice(1 - h % 2, None), slice(1 - w % 2, None))
            mask = samples.mask.expand_as(seen)[inner]
            torch.testing.assert_close(
                seen[inner][mask], samples.kspace[inner][mask], atol=1e-4, rtol=0
            )


def test_samples_change_what_was_not_measured_too() -> None:
    low, samples = measured(24, 24)
    model = complex_tiny(2)
    with torch.inference_mode():
        told, untold = model(low, samples=samples).image, model(low).image
    difference = fft2c(resize_kspace(torch.complex(*(told - untold).split(1, dim=1)), (24, 24)))
    assert difference[~samples.mask.expand_as(difference)].abs().max() > 1e-4


@pytest.mark.parametrize("angle", [0.5, 2.0, 3.1])
def test_a_constant_phase_turns_the_output_and_does_nothing_else(angle: float) -> None:
    low, samples = measured(24, 24)
    turn = torch.polar(torch.ones(()), torch.tensor(angle))

    def turned(image: Tensor) -> Tensor:
        return real_and_imaginary(torch.complex(image[:, :1], image[:, 1:]) * turn)

    model = complex_tiny(2)
    with torch.inference_mode():
        expected = turned(model(low, samples=samples).image)
        got = model(turned(low), samples=samples._replace(kspace=samples.kspace * turn)).image
    torch.testing.assert_close(got, expected, atol=2e-4, rtol=0)


def test_samples_are_on_the_scale_of_the_input() -> None:
    low, samples = measured(24, 24)
    model = complex_tiny(2)
    with torch.inference_mode():
        expected = model(low, samples=samples).image * 700
        got = model(low * 700, samples=samples._replace(kspace=samples.kspace * 700)).image
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=0.05)


def test_samples_that_do_not_fit_are_refused() -> None:
    low, samples = measured(24, 24)
    with pytest.raises(ValueError, match="samples need"):
        tiny()(low[:, :1], samples=samples)
    with pytest.raises(ValueError, match="samples need"):
        complex_tiny(2)(low[..., :20], samples=samples)


def test_wrong_input_is_refused() -> None:
    for shape in [(1, 1, 15, 16), (1, 2, 16, 16), (16, 16)]:
        with pytest.raises(ValueError, match="expected"):
            tiny()(torch.zeros(shape))
    with pytest.raises(ValueError, match="scale 3"):
        ICONet(3)


def test_images_are_scaled_one_by_one_by_the_size_of_complex_values() -> None:
    images = torch.rand(3, 2, 24, 20) * torch.tensor([0.0, 1.0, 3e5]).view(-1, 1, 1, 1)
    magnitudes = images.norm(dim=1).numpy()
    expected = [1.0, *(robust_scale(magnitude[None]) for magnitude in magnitudes[1:])]
    assert robust_scales(images).shape == (3, 1, 1, 1)
    assert robust_scales(images).flatten().tolist() == expected
