import pytest
import torch

from iconet import peers
from iconet.peers.rcan import RCAN, ChannelAttention, Residual

COLOUR_SHIFT = 2 * (3 * 3 + 3)  # fixed layers that subtract and add the mean colour


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("scale", "published"), [(2, 15_444_667), (4, 15_592_379)])
def test_full_size_has_as_many_parameters_as_published(scale: int, published: int) -> None:
    with torch.device("meta"):
        full = RCAN(scale, channels=3, groups=10, blocks=20)
    assert count(full) + COLOUR_SHIFT == published


def test_reduced_to_about_the_size_of_edsr_baseline() -> None:
    with torch.device("meta"):
        assert 1.3e6 < count(peers.build("rcan", 2)) < 1.5e6


def test_attention_weighs_whole_channels_between_0_and_1() -> None:
    x = torch.rand(1, 32, 5, 6) + 0.1
    torch.manual_seed(0)
    with torch.inference_mode():
        gates = ChannelAttention(32, 2)(x) / x
    torch.testing.assert_close(gates, gates[..., :1, :1].expand_as(gates))
    assert 0 < float(gates.min()) < float(gates.max()) < 1


def test_residual_adds_its_input() -> None:
    x = torch.rand(1, 2, 3, 3)
    torch.testing.assert_close(Residual(torch.nn.Identity())(x), 2 * x)
