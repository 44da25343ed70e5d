"""Each ablation lacks what its name says and is ICONet otherwise."""

import pytest
import torch

from iconet import peers
from iconet.data.sampling import real_and_imaginary
from iconet.network import ICONet, ICONetOutput, Samples
from iconet.physics.acquisition import Acquisition


def run(name: str, scale: int, channels: int) -> ICONetOutput:
    torch.manual_seed(0)
    network = peers.build(name, scale, channels)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    low, samples = torch.rand(1, 1, 24, 30), None
    if channels == 2:
        generator = torch.Generator().manual_seed(1)
        acquisition = Acquisition(acceleration=(2, 2), noise_max=0.0)
        seen = acquisition(low, 1, generator, torch.ones(1, 1, 1, 1))
        low, samples = real_and_imaginary(seen.image), Samples(seen.kspace, seen.mask)
    output: ICONetOutput = network(low, samples=samples)
    return output


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", peers.ABLATIONS)
def test_makes_images_of_the_right_size_and_learns(name: str, channels: int) -> None:
    if "consistency" in name and channels == 1:
        pytest.skip("magnitude images know no samples")
    scale = 4 if name == "iconet-direct" else 2
    output = run(name, scale, channels)
    assert output.image.shape == (1, channels, 24 * scale, 30 * scale)
    assert output.stages[0].reconstruction.shape == (1, channels, 24, 30)
    assert len(output.stages) == 1
    assert output.image.requires_grad and bool(output.image.isfinite().all())


@pytest.mark.parametrize("name", [n for n in peers.ABLATIONS if n != "iconet-direct"])
def test_has_no_more_parameters_than_the_whole(name: str) -> None:
    def count(network: torch.nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    whole = count(ICONet(4, channels=2))
    lacking = count(peers.build(name, 4, 2))
    # Data consistency weighs one number a place; all else is thousands.
    assert lacking < whole if "consistency" in name else lacking < whole - 5000


def test_without_reconstruction_the_prior_is_the_input() -> None:
    torch.manual_seed(0)
    low = torch.rand(1, 1, 24, 24)
    output = peers.build("iconet-without-reconstruction", 2)(low)
    torch.testing.assert_close(output.stages[0].reconstruction, low)


def test_without_consistency_samples_do_not_matter() -> None:
    network = peers.build("iconet-without-consistency", 2, 2)
    low = torch.randn(1, 2, 24, 24)
    samples = Samples(torch.randn(1, 1, 24, 24) + 0j, torch.ones(1, 1, 1, 24, dtype=torch.bool))
    with torch.inference_mode():
        torch.testing.assert_close(network(low).image, network(low, samples=samples).image)


def test_direct_is_for_scale_four() -> None:
    with pytest.raises(ValueError, match="scale 4"):
        peers.build("iconet-direct", 2)
