"""
How far to trust it
===================

A network adds detail that is likely. Some of it is wrong. This page shows what you can check
without the truth, and what you cannot.
"""

import json

import nibabel
import numpy as np
import torch
from pictures import maps, slice_of
from scanner import bundled
from terminal import Terminal

import iconet
from iconet.physics.kspace import zero_fill

terminal = Terminal()
truth = bundled(14, 22)
nibabel.save(iconet.degrade(truth, scale=2), terminal.folder / "scan.nii.gz")
terminal("iconet upscale scan.nii.gz -o bigger.nii.gz --report")

# %%
# Does it contradict the scan?
# ----------------------------
# The report makes the result coarse again and compares it with the scan. A low PSNR, or a ratio of
# means far from 1, is a warning.

report = json.loads((terminal.folder / "bigger.nii.gz.report.json").read_text())
print({key: round(report["consistency"][key], 4) for key in ("psnr", "nmse", "mean_ratio")})

# %%
# A map shows where. Here we draw a bright spot of 4 x 4 voxels into the result. The scan does not
# have it, so the map shows it. ``iconet view`` has the same map, as the layer *Consistency*.

scan = nibabel.load(terminal.folder / "scan.nii.gz")
bigger = nibabel.load(terminal.folder / "bigger.nii.gz")
spot = bigger.get_fdata().copy()
spot[80:84, 120:124, 3:5] += 300


def contradiction(values):
    """The result made coarse again, minus the scan."""
    low = iconet.degrade(nibabel.Nifti1Image(values, bigger.affine), scale=2)
    difference = nibabel.Nifti1Image(low.get_fdata() - scan.get_fdata(), scan.affine)
    return slice_of(difference, at=0.5)[0]


maps(
    {"The result": contradiction(bigger.get_fdata()), "With the spot": contradiction(spot)},
    largest=100,
    cmap="RdBu_r",
)

# %%
# What consistency cannot show
# ----------------------------
# Detail finer than the scan's voxels leaves no trace in the scan. So many different results agree
# with it: zero-filling agrees perfectly and adds nothing. **Consistency does not say that detail is
# true.**
#
# Where did the network add something?
# ------------------------------------
# Compare the result with an interpolation of the scan. Look twice where much was added. Here the
# truth is known, so you also see the error that is left.

stack = torch.from_numpy(scan.get_fdata(dtype=np.float32)).permute(2, 0, 1)
filled = zero_fill(stack, 2).permute(1, 2, 0).numpy()
interpolated = slice_of(nibabel.Nifti1Image(filled, bigger.affine))[0]
enlarged, true = (slice_of(image)[0].astype(float) for image in (bigger, truth))
maps(
    {
        "Added by the network": enlarged - interpolated,
        "Error that is left": enlarged - true,
        "Error of zero-filling": interpolated - true,
    },
    largest=150,
    cmap="RdBu_r",
)

# %%
# Where did it guess?
# -------------------
# ``--uncertainty`` writes two bounds beside the result. 90 % of the true values are expected
# between them. Where they are far apart, the network guessed. The image itself stays the same.

terminal("iconet upscale scan.nii.gz -o again.nii.gz --uncertainty")
lower, upper = (
    nibabel.load(terminal.folder / f"again_desc-{what}.nii.gz") for what in ("lower", "upper")
)
low, high = (slice_of(image)[0].astype(float) for image in (lower, upper))
maps(
    {"Width of the interval": high - low, "Error that is left": abs(enlarged - true)},
    largest=150,
    cmap="magma",
)

# %%
# Here the truth is known. So many of the voxels that are no air lie between both bounds:

inside = true > 0.1 * true.max()
print(f"{((low <= true) & (true <= high))[inside].mean():.0%}")

# %%
# `How far to trust it <../trust.html>`_ says how many do on other people's scans, and where it is
# less.
#
# Before you use it in a study
# ----------------------------
# * Test on scans of your own whose truth you know: ``iconet degrade``, ``iconet upscale``, ``iconet
#   evaluate``.
# * Never decide about a patient on detail that only the result shows.
# * The `limits <../models.html#limits>`_ say what the models have not seen.
