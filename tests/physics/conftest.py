"""Devices the physics must run on: the CPU always, a GPU where there is one."""

import pytest
import torch
from hypothesis import settings

# The same examples every time, and no timing: this runs beside other work on few cores.
settings.register_profile("physics", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("physics")


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
        ),
    ]
)
def device(request):
    return torch.device(request.param)
