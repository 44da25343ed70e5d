"""Simulated joint acquisitions against what each step must give in closed form."""

import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.physics.acquisition import Acquisition, Measured
from iconet.physics.coils import BEGIN, combine
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace

FULL = Acquisition(acceleration=(1.0, 1.0), noise_max=0.0)
NOISELESS = Acquisition(noise_max=0.0)


def seeded(seed=3, device="cpu"):
    return torch.Generator(device=device).manual_seed(seed)


def ones(batch):
    return torch.ones(batch, 1, 1, 1)


def clean_images(batch=2, height=64, width=96):
    generator = seeded(9)
    return torch.rand(batch, 1, height, width, dtype=torch.float64, generator=generator)


def assert_same(one: Measured, other: Measured):
    for first, second in zip(one, other, strict=True):
        assert first is second is None or torch.equal(first, second)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_all_lines_without_noise_give_the_crop_of_the_image_with_its_phase(factor):
    clean = clean_images()
    measured = FULL(clean, factor, seeded(), ones(2).double())
    complete = crop_kspace(torch.polar(clean, measured.phase), factor)
    torch.testing.assert_close(measured.image, complete)
    torch.testing.assert_close(measured.image.abs(), complete.abs())
    torch.testing.assert_close(measured.kspace, fft2c(complete))
    assert measured.mask.all()
    if factor == 1:
        torch.testing.assert_close(measured.image.abs(), clean)


@pytest.mark.parametrize("factor", [2, 4])
def test_what_is_measured_is_full_kspace_on_the_lines_of_the_mask_and_0_elsewhere(factor):
    clean = clean_images()
    measured = NOISELESS(clean, factor, seeded(), ones(2))
    full = fft2c(crop_kspace(torch.polar(clean, measured.phase), factor))
    torch.testing.assert_close(measured.kspace, full * measured.mask)
    lines = measured.mask.expand(measured.kspace.shape)
    assert (measured.kspace[~lines] == 0).all()
    assert (measured.kspace[lines] != 0).all()


@given(st.integers(1, 3), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**31))
def test_default_acquisitions_are_finite_consistent_and_repeatable(batch, factor, seed):
    clean = torch.rand(batch, 1, 64, 16 * factor)
    clean[0] = 0
    measured = Acquisition()(clean, factor, seeded(seed), ones(batch))
    h, w = 64 // factor, 16
    assert (measured.image.shape, measured.image.dtype) == ((batch, 1, h, w), torch.complex64)
    assert (measured.kspace.shape, measured.kspace.dtype) == ((batch, 1, h, w), torch.complex64)
    assert (measured.mask.shape, measured.mask.dtype) == ((batch, 1, 1, w), torch.bool)
    assert (measured.phase.shape, measured.phase.dtype) == (clean.shape, torch.float32)
    assert all(part.isfinite().all() for part in measured[:4])
    torch.testing.assert_close(fft2c(measured.image), measured.kspace)
    assert_same(measured, Acquisition()(clean, factor, seeded(seed), ones(batch)))
    again = Acquisition()(clean, factor, seeded(seed + 1), ones(batch))
    assert not torch.equal(again.phase, measured.phase)


@pytest.mark.parametrize("kind", ["random", "equispaced"])
def test_a_fixed_acceleration_measures_its_share_of_lines_of_each_image(kind):
    acquisition = Acquisition(acceleration=(4.0, 4.0), centre_fraction=0.1, mask=kind)
    mask = acquisition(torch.rand(20, 1, 8, 80), 2, seeded(), ones(20)).mask[:, 0, 0]
    assert (mask.sum(-1) == 10).all()
    assert mask[:, 18:22].all()  # a tenth of 40 lines, DC at line 20
    assert len(mask.unique(dim=0)) > (10 if kind == "random" else 3)


def test_accelerations_are_uniform_between_their_bounds():
    acquisition = Acquisition(acceleration=(2.0, 6.0), centre_fraction=0.0)
    mask = acquisition(torch.rand(400, 1, 1, 600), 1, seeded(), ones(400)).mask
    acceleration = 600 / mask.sum(-1).flatten().double()
    assert 2 <= acceleration.min() < 2.1
    assert 5.9 < acceleration.max() <= 6.01
    assert acceleration.mean().item() == pytest.approx(4, abs=0.15)
    assert acceleration.std().item() == pytest.approx(4 / math.sqrt(12), abs=0.1)


def test_either_draws_both_kinds_alike():
    acquisition = Acquisition(acceleration=(4.0, 4.0), centre_fraction=0.0, mask="either")
    mask = acquisition(torch.rand(400, 1, 2, 128), 2, seeded(), ones(400)).mask[:, 0, 0]
    equispaced = torch.stack([(row.nonzero().diff(dim=0) == 4).all() for row in mask])
    assert equispaced.float().mean().item() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("factor", [1, 2])
def test_noise_is_white_in_measured_kspace_at_its_share_of_the_scale(factor):
    """The difference to the same acquisition without noise, which draws the same numbers."""
    noisy = Acquisition(acceleration=(2.0, 2.0), noise_min=0.05, noise_max=0.05)
    without = Acquisition(acceleration=(2.0, 2.0), noise_max=0.0)
    clean, scale = clean_images(2, 128, 128), torch.tensor([1.0, 100.0]).view(2, 1, 1, 1)
    one, other = (how(clean, factor, seeded(), scale.double()) for how in (noisy, without))
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.phase, other.phase)
    for image in range(2):
        lines = one.mask[image].expand(one.kspace[image].shape)
        noise = (one.kspace - other.kspace)[image][lines] / scale[image]
        assert noise.real.std().item() == pytest.approx(0.05, rel=0.05)
        assert noise.imag.std().item() == pytest.approx(0.05, rel=0.05)
        assert abs((noise.real * noise.imag).mean().item()) < 0.05**2 * 0.1
        assert (one.kspace[image][~lines] == 0).all()
        # Half of the lines carry noise, so half of its power reaches each pixel of the image.
        difference = (one.image - other.image)[image] / scale[image]
        power = difference.abs().square().mean().item()
        assert power == pytest.approx(2 * 0.05**2 / 2, rel=0.1)


def test_noise_levels_are_uniform_between_their_bounds():
    acquisition = Acquisition(acceleration=(1.0, 1.0), noise_min=0.02, noise_max=0.1)
    image = acquisition(torch.zeros(500, 1, 32, 32), 1, seeded(), ones(500)).image
    level = (image.abs().square().mean((1, 2, 3)) / 2).sqrt()
    assert 0.02 * 0.9 < level.min() < 0.03
    assert 0.09 < level.max() < 0.1 * 1.1
    assert level.mean().item() == pytest.approx(0.06, abs=0.005)


def test_settings_of_one_draw_leave_the_others_alone():
    """Phases and noise stay, whatever masks are drawn: the same count of numbers for each."""
    clean = clean_images(6)
    kinds = [Acquisition(mask=kind, noise_max=0.0) for kind in ("random", "equispaced", "either")]
    kinds.append(Acquisition(acceleration=(1.0, 1.0), noise_max=0.0))
    phases, rests = [], []
    for kind in kinds:
        generator = seeded()
        phases.append(kind(clean, 2, generator, ones(6)).phase)
        rests.append(torch.rand(4, generator=generator))
    assert all(torch.equal(phases[0], phase) for phase in phases)
    assert all(torch.equal(rests[0], rest) for rest in rests)


def test_the_phase_makes_undersampling_lose_something():
    """Of a Hermitian k-space half the lines would tell the other half."""
    clean = clean_images(1, 65, 65)
    kspace = FULL(clean, 1, seeded(), ones(1)).kspace
    mirrored = kspace.flip((-2, -1)).conj()
    difference = (kspace - mirrored).abs().square().sum() / kspace.abs().square().sum()
    assert difference > 0.1


def test_runs_on_every_device_with_a_generator_of_either(device):
    clean, scale = clean_images().float().to(device), ones(2).to(device)
    for home in {"cpu", device.type}:
        one, again = (Acquisition()(clean, 2, seeded(1, home), scale) for _ in "ab")
        assert {part.device.type for part in one[:4]} == {device.type}
        assert torch.equal(one.mask, again.mask)
        torch.testing.assert_close(one.image, again.image)
    on_cpu = Acquisition()(clean.cpu(), 2, seeded(1), scale.cpu())
    there = Acquisition()(clean, 2, seeded(1), scale)
    assert torch.equal(there.mask.cpu(), on_cpu.mask)
    torch.testing.assert_close(there.image.cpu(), on_cpu.image, rtol=1e-3, atol=1e-3)


def test_the_acquisition_is_a_value():
    acquisition = Acquisition(acceleration=(3.0, 4.0))
    assert pickle.loads(pickle.dumps(acquisition)) == acquisition != Acquisition()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"acceleration": (0.5, 2.0)}, "0.5"),
        ({"acceleration": (4.0, 2.0)}, "smaller one first"),
        ({"acceleration": (2.0, math.inf)}, "inf"),
        ({"acceleration": (math.nan, 2.0)}, "nan"),
        ({"centre_fraction": -0.1}, "-0.1"),
        ({"centre_fraction": 0.2}, "0.2"),  # a sixth of the lines is measured at 6
        ({"centre_fraction": math.nan}, "nan"),
        ({"mask": "spiral"}, "spiral"),
        ({"noise_min": -0.1}, "-0.1"),
        ({"noise_min": 0.03}, "0.03"),
        ({"noise_max": math.inf}, "inf"),
        ({"noise_max": math.nan}, "nan"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(wrong, named):
    with pytest.raises(InputError, match="choose") as error:
        Acquisition(**wrong)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_images_that_do_not_split_or_have_too_few_lines_are_refused():
    with pytest.raises(InputError, match="crop or pad"):
        Acquisition()(torch.rand(1, 1, 63, 64), 2, seeded(), ones(1))
    with pytest.raises(InputError, match="4 lines"):
        acquisition = Acquisition(acceleration=(20.0, 20.0), centre_fraction=0.0)
        acquisition(torch.rand(1, 1, 8, 8), 2, seeded(), ones(1))


def test_the_fastest_acceleration_has_room_for_the_widest_centre_it_allows():
    acquisition = Acquisition(acceleration=(6.0, 6.0), centre_fraction=1 / 6)
    for lines in range(12, 60):
        mask = acquisition(torch.rand(1, 1, 2, lines), 1, seeded(), ones(1)).mask
        assert mask.sum() == round(lines / 6)


def test_coils_see_the_same_object_and_sensitivities_have_its_phase() -> None:
    """All lines, no noise: what coils measured is found again from the maps and the image."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    clean = torch.exp(-3 * (y**2 + x**2))[None, None].repeat(2, 1, 1, 1)
    acquisition = Acquisition(acceleration=(1.0, 1.0), noise_max=0.0, coils=(2, 5))
    measured = acquisition(clean, 2, seeded(), ones(2))
    assert measured.maps is not None and measured.kspace.shape == (2, 5, 32, 32)
    truth = crop_kspace(torch.polar(clean, measured.phase), 2)
    inside = truth.abs() > 0.2
    combined = combine(ifft2c(measured.kspace), measured.maps, keepdim=True)
    torch.testing.assert_close(combined[inside], truth[inside], rtol=0.03, atol=0.03)
    begun = measured.image[inside] * (1 + BEGIN)  # the regularisation is all that is left
    torch.testing.assert_close(begun, truth[inside], rtol=0.05, atol=0.05)
    counts = (measured.kspace.abs().amax(dim=(-2, -1)) > 0).sum(dim=1)
    assert ((counts >= 2) & (counts <= 5)).all()


def test_one_coil_is_measured_as_before_there_were_several() -> None:
    clean = clean_images()
    plain = Acquisition()(clean, 2, seeded(), ones(2))
    assert plain.maps is None and plain.kspace.shape[1] == 1
    with pytest.raises(InputError, match="coils 0 to 3"):
        Acquisition(coils=(0, 3))
