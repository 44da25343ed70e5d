"""
Ways to lose resolution
=======================

The same slice, 4x smaller in each way that training uses. A network that knows one way only gains
little on another.
"""

import numpy as np
import torch
from pictures import maps
from scanner import bundled

from iconet.intensity import robust_scale
from iconet.physics.degradation import DegradationMix

slices = bundled(20, 22).get_fdata(dtype=np.float32)
truth = torch.from_numpy(slices).permute(2, 0, 1)[:1, None]
bright = torch.full((1, 1, 1, 1), robust_scale(truth.numpy()))
ways = ("kspace", "windowed", "blurred", "averaged")
nothing = dict.fromkeys((*ways, "resampled", "interpolated"), 0)

images = {}
for way in ways:
    mix = DegradationMix(**{**nothing, way: 1}, noise_probability=0)
    low = mix(truth, 4, torch.Generator().manual_seed(3), bright)
    images[way] = low[0, 0].numpy()[20:40, ::-1][:, 10:36].T
maps(images, largest=float(truth.quantile(0.993)), cmap="gray")
