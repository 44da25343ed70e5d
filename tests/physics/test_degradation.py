import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iconet.errors import InputError
from iconet.physics.degradation import DegradationMix
from iconet.physics.kspace import crop_kspace, resize_kspace

WAYS = DegradationMix.ways
ONLY = {**dict.fromkeys(WAYS, 0.0), "noise_probability": 0.0}


def seeded(device="cpu", seed=3):
    return torch.Generator(device=device).manual_seed(seed)


def only(way, **noise):
    return DegradationMix(**{**ONLY, way: 1.0, **noise})


def head(batch, size=64):
    """Discs with an off-centre hole, on a zero background; brighter from image to image."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="ij")
    disc = (x**2 + y**2 < 0.64).float() - 0.6 * ((x - 0.2) ** 2 + y**2 < 0.09).float()
    return disc * 10.0 ** torch.arange(batch).reshape(batch, 1, 1, 1)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_plain_kspace_mix_is_the_magnitude_of_the_crop(factor):
    clean = head(3)
    low = only("kspace")(clean, factor, seeded(), torch.ones(3, 1, 1, 1))
    assert torch.equal(low, crop_kspace(clean, factor).abs())


def test_averaged_is_the_block_mean():
    clean = head(2)
    low = only("averaged")(clean, 4, seeded(), torch.ones(2, 1, 1, 1))
    torch.testing.assert_close(low, clean.reshape(2, 1, 16, 4, 16, 4).mean((3, 5)))


def test_every_other_way_is_less_sharp_than_the_plain_crop_and_images_differ():
    clean = head(1).expand(8, 1, 64, 64)
    scale = torch.ones(8, 1, 1, 1)

    def sharpness(way):
        low = only(way)(clean, 2, seeded(), scale)
        return (low.diff(dim=-1) ** 2).sum((1, 2, 3))

    for way in set(WAYS) - {"kspace", "averaged"}:
        assert (sharpness(way) < sharpness("kspace")).all()
        assert len(sharpness(way).unique()) > 1
    # No window takes more than the widest ones do.
    hann = resize_kspace(clean[:1], (32, 32), 1.0).abs()
    assert (sharpness("windowed") >= 0.9 * (hann.diff(dim=-1) ** 2).sum()).all()


def test_small_images_are_made_as_pillow_makes_them():
    clean = head(1)
    mix, scale = only("resampled"), torch.ones(1, 1, 1, 1)
    mixes = [mix(clean, 2, seeded(seed=number), scale) for number in range(8)]
    pillow = Image.fromarray(clean[0, 0].numpy())
    for method in (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR):
        small = torch.from_numpy(np.asarray(pillow.resize((32, 32), method)).copy())
        assert any(torch.allclose(low[0, 0], small.abs(), atol=2e-5) for low in mixes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("factor", [2, 4])
def test_every_way_keeps_constants_and_places(way, factor):
    scale = torch.ones(2, 1, 1, 1)
    flat = only(way)(torch.full((2, 1, 32, 48), 7.0), factor, seeded(), scale)
    torch.testing.assert_close(flat, torch.full((2, 1, 32 // factor, 48 // factor), 7.0))

    position = torch.arange(64.0)
    row, column = 30.3, 35.1
    blob = torch.exp(-((position[:, None] - row) ** 2 + (position - column) ** 2) / 50)
    low = only(way)(blob[None, None], factor, seeded(), torch.ones(1, 1, 1, 1))[0, 0]
    centres = (torch.arange(64 // factor) + 0.5) * factor - 0.5
    for axis, truth in ((0, row), (1, column)):
        profile = low.sum(1 - axis)
        assert float((profile * centres).sum() / profile.sum()) == pytest.approx(
            truth, abs=0.02 * factor + 0.02
        )


def test_ways_are_drawn_by_their_weights():
    """Told apart by an impulse: its crop, taper, blur and mean have different peaks."""
    batch = 4000
    clean = torch.zeros(1, 1, 8, 8)
    clean[..., 3, 3] = 1.0
    mix = DegradationMix(kspace=2, windowed=0, blurred=0, averaged=1, noise_probability=0)
    low = mix(clean.expand(batch, 1, 8, 8), 2, seeded(), torch.ones(batch, 1, 1, 1))
    mean = clean.reshape(1, 1, 4, 2, 4, 2).mean((3, 5))
    is_mean = (low - mean).abs().amax((1, 2, 3)) < 1e-6
    is_crop = (low - crop_kspace(clean, 2).abs()).abs().amax((1, 2, 3)) < 1e-6
    assert (is_mean ^ is_crop).all()
    assert is_crop.float().mean().item() == pytest.approx(2 / 3, abs=0.03)


def test_noise_reaches_its_share_of_images_at_levels_relative_to_the_scale():
    batch = 2000
    scale = torch.tensor([1.0, 1000.0]).repeat(batch // 2).reshape(batch, 1, 1, 1)
    mix = only("averaged", noise_probability=0.25, noise_max=0.1)
    low = mix(torch.zeros(batch, 1, 32, 32), 2, seeded(), scale)
    # Of zero signal the second moment is 2 sigma^2.
    sigma = ((low**2).mean((1, 2, 3)) / 2).sqrt() / scale.flatten()
    noisy = sigma[sigma > 0]
    assert len(noisy) / batch == pytest.approx(0.25, abs=0.04)
    assert noisy.max() < 0.1 * 1.2
    assert noisy.mean().item() == pytest.approx(0.05, abs=0.003)  # of uniform levels
    assert noisy.std().item() == pytest.approx(0.1 / math.sqrt(12), rel=0.15)


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 7),
    st.sampled_from([2, 4, 8]),
    st.integers(0, 2**31),
)
def test_default_mix_gives_finite_magnitudes_again_and_again(batch, rows, columns, factor, seed):
    clean = torch.rand(batch, 1, rows * factor, columns * factor)
    clean[0] = 0
    scale = clean.amax((1, 2, 3), keepdim=True)
    first, again = (DegradationMix()(clean, factor, seeded(seed=seed), scale) for _ in "ab")
    assert (first.shape, first.dtype) == ((batch, 1, rows, columns), torch.float32)
    assert first.isfinite().all()
    assert first.min() >= 0
    assert torch.equal(first, again)


def test_runs_on_every_device_with_a_generator_of_either(device):
    clean, scale = head(8).to(device), torch.ones(8, 1, 1, 1, device=device)
    for home in {"cpu", device.type}:
        first, again, other = (
            DegradationMix()(clean, 2, seeded(home, seed), scale) for seed in (1, 1, 2)
        )
        assert first.device.type == device.type
        torch.testing.assert_close(first, again)
        assert not torch.equal(first, other)
    on_cpu = DegradationMix()(clean.cpu(), 2, seeded(), scale.cpu())
    torch.testing.assert_close(
        DegradationMix()(clean, 2, seeded(), scale).cpu(), on_cpu, rtol=1e-3, atol=1e-3
    )


def test_the_mix_is_a_value():
    mix = DegradationMix(blurred=0.5)
    assert pickle.loads(pickle.dumps(mix)) == mix != DegradationMix()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"kspace": -0.1}, "-0.1"),
        ({"kspace": math.nan}, "nan"),
        ({"blurred": math.inf}, "inf"),
        (ONLY, "are not a mix"),
        ({"noise_probability": 1.5}, "noise_probability 1.5"),
        ({"noise_probability": math.nan}, "noise_probability"),
        ({"noise_max": -1}, "noise_max -1"),
        ({"noise_max": math.inf}, "noise_max inf"),
    ],
)
def test_impossible_mixes_are_refused(wrong, named):
    with pytest.raises(InputError, match=named):
        DegradationMix(**wrong)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match="10 x 12"):
        DegradationMix()(torch.rand(1, 1, 10, 12), 4, seeded(), torch.ones(1, 1, 1, 1))
