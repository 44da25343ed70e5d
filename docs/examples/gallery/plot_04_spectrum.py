"""
The spectrum before and after
=============================

The low frequencies of the result are the scan's own. The network fills what lies outside.
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


def spectrum(image):
    return np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(image)))).T


maps(
    {
        "Zero-filling": spectrum(zero_fill(stack, 2)[0].numpy()),
        "ICONet": spectrum(iconet.upscale(low).get_fdata()[:, :, 0]),
        "Truth": spectrum(truth.get_fdata()[:, :, 0]),
    },
    largest=16,
    cmap="magma",
)
