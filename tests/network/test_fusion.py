"""What the branches tell each other."""

import pytest
import torch
from torch import Tensor

from .small import tiny


@pytest.mark.parametrize("direction", ["to_reconstruction", "to_super_resolution"])
def test_fusion_carries_information_both_ways(direction: str) -> None:
    lr = torch.rand(1, 1, 24, 24)
    whole, cut = tiny(), tiny()
    for fusion in cut.stages[0].fusions:
        for parameter in getattr(fusion, direction).parameters():
            torch.nn.init.zeros_(parameter)
    with torch.inference_mode():
        a, b = whole(lr).stages[0], cut(lr).stages[0]
    assert float((a.reconstruction - b.reconstruction).abs().max()) > 1e-4
    assert float((a.super_resolution - b.super_resolution).abs().max()) > 1e-4


def test_without_fusion_the_reconstruction_knows_nothing_of_the_other_branch() -> None:
    """The counterpart: the way between the branches is the fusion and nothing else."""

    def reconstruction(perturb: bool) -> Tensor:
        model = tiny()
        for fusion in model.stages[0].fusions:
            for parameter in fusion.to_reconstruction.parameters():
                torch.nn.init.zeros_(parameter)
        if perturb:
            torch.nn.init.normal_(model.stages[0].head_sr.weight)
        with torch.inference_mode():
            return model(torch.ones(1, 1, 16, 16)).stages[0].reconstruction

    assert torch.equal(reconstruction(False), reconstruction(True))


def test_fusion_weights_depend_on_content() -> None:
    fusion = tiny().stages[0].fusions[0]
    rec, sr = torch.randn(1, 8, 8, 8), torch.randn(1, 8, 16, 16)
    with torch.inference_mode():
        none, once, twice = (fusion(factor * rec, sr)[1] for factor in (0, 1, 2))
    # With fixed weights the message would grow by equal steps.
    assert float((twice - 2 * once + none).abs().max()) > 0.1
