import pytest
import torch
from torch import nn

from iconet.network import SIZES, ICONet
from iconet.peers import build
from iconet.peers.edsr import EDSR


@pytest.mark.parametrize(("scale", "published"), [(2, 1_369_859), (4, 1_517_571)])
def test_has_as_many_parameters_as_published_for_colour_images(scale: int, published: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in EDSR(scale, channels=3).parameters()) == published


@pytest.mark.parametrize("scale", [2, 4])
def test_iconet_has_no_more_parameters(scale: int) -> None:
    def size(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    assert size(ICONet(scale, **SIZES["base"])) <= size(build("edsr-baseline", scale))
