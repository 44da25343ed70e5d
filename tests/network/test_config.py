"""Every setting is said, and those not given suit the kind of image."""

from dataclasses import asdict, replace

import pytest

from iconet.network import ICONet, ICONetConfig
from iconet.network.config import stages_for


@pytest.mark.parametrize(
    ("channels", "settings", "place"),
    [
        (1, {}, (3, False, True)),
        (2, {}, (17, True, False)),
        (2, {"span": 3}, (3, False, True)),
        (2, {"span": 9}, (9, True, False)),
        (2, {"span": 9, "spatial_first": False}, (9, False, False)),
        (1, {"spatial_in_later_stages": False}, (3, False, False)),
    ],
)
def test_a_wide_span_puts_the_spatial_path_first_and_into_the_first_stage(
    channels: int, settings: dict[str, int], place: tuple[int, bool, bool]
) -> None:
    config = ICONetConfig.default(4, channels, **settings)
    assert (config.span, config.spatial_first, config.spatial_in_later_stages) == place
    assert ICONet(4, channels=channels, width=8, **settings).config == replace(config, width=8)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_network_is_made_again_from_its_settings(channels: int) -> None:
    model = ICONet(4, channels=channels, width=8, exchanges=1, rec_units=2, sr_units=1)
    ICONet(**asdict(model.config)).load_state_dict(model.state_dict())
    assert (model.scale, model.channels, model.width) == (4, channels, 8)


@pytest.mark.parametrize(("exchanges", "counts"), [(1, [1, 1, 1]), (2, [2, 1, 1]), (4, [4, 2, 2])])
def test_later_stages_talk_half_as_often(exchanges: int, counts: list[int]) -> None:
    config = ICONetConfig(8, exchanges=exchanges)
    assert [config.exchanges_of(stage) for stage in range(config.stages)] == counts


@pytest.mark.parametrize("span", [0, 4, -1])
def test_a_span_without_a_middle_is_refused(span: int) -> None:
    with pytest.raises(ValueError, match=f"span {span}"):
        ICONet(2, channels=2, span=span)


def test_number_of_stages() -> None:
    assert [stages_for(s) for s in (2, 4, 8)] == [1, 2, 3]
    for scale in (0, 1, 3, 6, 16):
        with pytest.raises(ValueError, match=f"scale {scale} "):
            stages_for(scale)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError, match="depth"):
        ICONet(2, depth=3)
