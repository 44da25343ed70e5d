"""
An interpolated scan
====================

Most MR consoles zero-fill k-space before they store an image: the stored matrix is larger than the
acquired one. A network that was trained on acquired matrices sharpens such a scan a second time. So
iconet looks at the spectrum first.
"""

import nibabel
import numpy as np
import torch
from pictures import maps, slice_of
from scanner import bundled
from terminal import Terminal

import iconet
from iconet.physics.kspace import resize_kspace

# %%
# A scan as a console stores it
# -----------------------------
# It was acquired with 96 x 128 voxels and stored with 192 x 256. Its header says nothing of that.

truth = bundled(16, 28)
acquired = iconet.degrade(truth, scale=2)
stack = torch.from_numpy(acquired.get_fdata(dtype=np.float32)).permute(2, 0, 1)
stored = resize_kspace(stack, truth.shape[:2]).permute(1, 2, 0).numpy()

terminal = Terminal()
nibabel.save(nibabel.Nifti1Image(stored, truth.affine), terminal.folder / "stored.nii.gz")

# %%
# Its spectrum gives it away: the outer part is empty.


def spectrum(scan):
    image, _ = slice_of(scan, at=0.4)
    return np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(image))))


stored_scan = nibabel.load(terminal.folder / "stored.nii.gz")
maps({"Truth": spectrum(truth), "Stored scan": spectrum(stored_scan)}, largest=16, cmap="magma")

# %%
# Upscale it
# ----------
# iconet finds the acquired matrix and says so. It starts from what was acquired and goes to the
# grid you asked for: here four times the acquired matrix, twice the stored one.

terminal("iconet upscale stored.nii.gz -o bigger.nii.gz")

# %%
# If you know better, say so: ``--acquired 96x128`` names the matrix, ``--acquired off`` takes the
# scan as it is.
#
# Consoles also multiply k-space by a window (Hamming, Hann, Fermi, Tukey). iconet finds it and
# undoes it as far as the noise allows. ``--window none`` leaves it. How often iconet is right is
# `measured <../scans.html#the-k-space-window>`_.
