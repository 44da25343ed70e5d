"""What a network is told of how its image lost its resolution."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.network import ICONet
from iconet.network.description import STRENGTHS, strengths
from iconet.physics.degradation import DegradationMix


def texture(seed: int = 0) -> torch.Tensor:
    """(1, 1, 128, 128), a power spectrum as that of anatomy."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*[torch.fft.fftfreq(128)] * 2, indexing="ij")
    noise = torch.randn(128, 128, generator=generator)
    spectrum = torch.fft.fft2(noise) / (torch.hypot(x, y) + 1 / 128) ** 1.2
    image = torch.fft.ifft2(spectrum).real
    image = (image - image.min()) / (image.max() - image.min())
    return image[None, None]


@given(st.floats(0.5, 2), st.floats(-1, 1))
def test_a_gain_and_an_offset_change_nothing(gain: float, offset: float) -> None:
    image = texture()
    torch.testing.assert_close(
        strengths(gain * image + offset), strengths(image), atol=2e-2, rtol=0
    )


def test_rows_and_columns_change_places_with_the_axes() -> None:
    image = texture()
    image = image[..., ::2]  # coarser along columns
    first, turned = strengths(image), strengths(image.mT)
    swapped = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 10, 11, 13, 12]
    assert first.shape == (1, STRENGTHS)
    torch.testing.assert_close(turned, first[:, swapped])


@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_near_nyquist_is_told(seed: int) -> None:
    """By a crop of k-space all of it, by means of blocks less, by cubic resampling least."""
    none = dict.fromkeys(DegradationMix.ways, 0.0)
    found = []
    for way in ("kspace", "averaged", "resampled"):
        mix = DegradationMix(**{**none, way: 1.0, "noise_probability": 0.0})
        cubic = torch.Generator().manual_seed(2)
        low = mix(texture(seed), 2, cubic, torch.ones(1, 1, 1, 1))
        found.append(strengths(low)[0, -2:])  # second differences
    assert (found[0] - found[1] > 0.1).all() and (found[1] - found[2] > 0.1).all()


def test_a_described_network_treats_the_same_pixels_by_what_the_whole_image_is_told() -> None:
    torch.manual_seed(0)
    network = ICONet(2, width=8, described=4).eval()
    for name, weights in network.named_parameters():
        if "weigh" in name:
            torch.nn.init.normal_(weights, std=0.1)
    image = texture()[..., :32, :32]
    with torch.inference_mode():
        itself = network(image, torch.ones(1)).image
        same = network(image, torch.ones(1), strengths=strengths(image)).image
        other = network(image, torch.ones(1), strengths=strengths(texture(1))).image
    assert torch.equal(itself, same)
    assert not torch.allclose(itself, other)


@pytest.mark.parametrize("settings", [{"channels": 2}, {"spatial_first": True}])
def test_only_networks_of_magnitudes_with_paths_side_by_side_are_told(settings: dict) -> None:
    with pytest.raises(ValueError, match="side by side"):
        ICONet(2, width=8, described=4, **settings)
