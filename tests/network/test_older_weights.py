"""What older versions wrote is read as today's."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch

from iconet.network import ICONet, ICONetConfig
from iconet.network.older_weights import current_config, current_names

Tensors = dict[str, torch.Tensor]


@pytest.mark.parametrize("channels", [1, 2])
def test_every_tensor_finds_its_module_again(
    channels: int, older_names: Callable[[Tensors], Tensors]
) -> None:
    tensors = ICONet(4, channels=channels, width=8, exchanges=2).state_dict()
    old = older_names(tensors)
    assert len(old.keys() - tensors.keys()) > 40
    assert list(current_names(old)) == list(tensors)
    assert list(current_names(tensors)) == list(tensors)


def test_names_of_other_networks_stay() -> None:
    tensors = {"architecture.0.local.weight": torch.ones(1), "weight": torch.ones(1)}
    assert current_names(tensors) == tensors


@pytest.mark.parametrize(
    ("old", "place"),
    [
        ({"channels": 1}, (3, False, True)),
        ({"channels": 2}, (3, False, True)),  # from before there was a span
        ({"channels": 2, "span": 3}, (3, False, True)),
        ({"channels": 2, "span": 17}, (17, True, False)),
    ],
)
def test_the_span_once_decided_order_and_place(old: dict[str, Any], place: tuple[Any, ...]) -> None:
    config = ICONetConfig(**current_config({"scale": 4, **old}))
    assert (config.span, config.spatial_first, config.spatial_in_later_stages) == place


def test_settings_of_today_stay() -> None:
    for channels in (1, 2):
        config = asdict(ICONetConfig.default(8, channels, span=5, spatial_first=False))
        assert current_config(config) == config


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("described", [0, 8])
def test_what_is_saved_today_keeps_its_names(channels: int, described: int) -> None:
    described *= channels == 1  # complex images are not described
    tensors = ICONet(4, channels=channels, width=8, exchanges=2, described=described).state_dict()
    assert list(current_names(tensors)) == list(tensors)
