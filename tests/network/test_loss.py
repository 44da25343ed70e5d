"""Supervision of both branches at every stage."""

import pytest
import torch

from iconet.network import ICONet, ICONetOutput, StageOutput, collaboration_loss


def images(*values: float, side: int = 4) -> list[torch.Tensor]:
    return [torch.full((1, 1, side * 2**i, side * 2**i), v) for i, v in enumerate(values)]


def two_stages(rec1: float, sr1: float, rec2: float, sr2: float) -> ICONetOutput:
    low, middle, high = images(0, 0, 0)
    stages = [StageOutput(low + rec1, middle + sr1), StageOutput(middle + rec2, high + sr2)]
    return ICONetOutput(stages[-1].super_resolution, stages)


def test_closed_form() -> None:
    output = two_stages(1.0, 2.0, 3.0, 4.0)
    got = collaboration_loss(output, images(0, 0, 0), reconstruction=0.5, early=0.1)
    assert got.item() == pytest.approx(0.1 * (4 + 0.5 * 1) + (16 + 0.5 * 9))


@pytest.mark.parametrize("wrong", range(4))
def test_every_image_is_supervised(wrong: int) -> None:
    values = [0.0] * 4
    assert collaboration_loss(two_stages(*values), images(0, 0, 0)).item() == 0
    values[wrong] = 1.0
    assert collaboration_loss(two_stages(*values), images(0, 0, 0)).item() > 0


def test_an_output_without_stages_is_judged_by_its_image() -> None:
    assert collaboration_loss(ICONetOutput(images(0.0, 3.0)[1], []), images(0.0, 1.0)).item() == 4


def test_an_image_without_a_clean_one_of_its_size_is_refused() -> None:
    output = ICONet(2, width=8)(torch.rand(1, 1, 16, 16))
    with pytest.raises(ValueError, match="no clean image has"):
        collaboration_loss(output, images(0, 0, 0))
