"""
Twice as many pixels
====================

The same detail of a slice: interpolated, by ICONet, and the truth.
"""

import nibabel
import numpy as np
import torch
from pictures import side_by_side
from scanner import bundled

import iconet
from iconet.physics.kspace import zero_fill

truth = bundled(18, 22)
low = iconet.degrade(truth, scale=2)
stack = torch.from_numpy(low.get_fdata(dtype=np.float32)).permute(2, 0, 1)
filled = nibabel.Nifti1Image(zero_fill(stack, 2).permute(1, 2, 0).numpy(), truth.affine)

scans = {
    "Low resolution": low,
    "Zero-filling": filled,
    "ICONet": iconet.upscale(low),
    "Truth": truth,
}
side_by_side(scans, detail=(0.45, 0.35, 0.4, 0.35), columns=2)
