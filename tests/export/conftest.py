import pytest
import torch
from torch import nn

from iconet import ICONet


@pytest.fixture(scope="session", params=[2, 4], ids=["x2", "x4"])
def network(request):
    """Small and untrained; no weight is zero, so that every path through it counts."""
    torch.manual_seed(request.param)
    network = ICONet(request.param, width=8, exchanges=1, rec_units=1, sr_units=1).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.abs().max() == 0:
                nn.init.normal_(weight, std=0.1)
        for stage in network.stages:
            for last in (*stage.rec_to_image, stage.sr_to_image):
                last.weight.mul_(30)  # so that what the branches write is as large as the image
    return network
