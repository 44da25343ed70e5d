"""
What the network added
======================

ICONet minus zero-filling: red was added, blue was taken away. Beside it the error of each.
"""

import numpy as np
import torch
from pictures import maps
from scanner import bundled

import iconet
from iconet.physics.kspace import zero_fill

truth = bundled(20, 22)
low = iconet.degrade(truth, scale=2)
stack = torch.from_numpy(low.get_fdata(dtype=np.float32)).permute(2, 0, 1)
filled = zero_fill(stack, 2).permute(1, 2, 0).numpy()
bigger = iconet.upscale(low).get_fdata()


def picture(difference):
    return difference[:, ::-1, 0].T


maps(
    {
        "Added": picture(bigger - filled),
        "Error of ICONet": picture(bigger - truth.get_fdata()),
        "Error of zero-filling": picture(filled - truth.get_fdata()),
    },
    largest=150,
    cmap="RdBu_r",
)
