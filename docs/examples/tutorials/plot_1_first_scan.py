"""
Your first scan
===============

You enlarge a scan, look at it, and check how well it fits. This takes four commands.

``Terminal`` types a command and prints what it prints. In your own terminal, type what follows the
``$``.
"""

import nibabel
from pictures import side_by_side
from scanner import bundled
from terminal import Terminal

terminal = Terminal()
nibabel.save(bundled(), terminal.folder / "truth.nii.gz")

# %%
# Make a scan to try it on
# ------------------------
# With a scan of your own, skip this step. Here we make one with half as many voxels along each side
# of its slices, as a shorter acquisition measures it. So we know the truth.

terminal("iconet degrade truth.nii.gz -o scan.nii.gz --scale 2")

# %%
# Enlarge it
# ----------
# iconet chooses the plane of the slices and the model. The line says what it did.

terminal("iconet upscale scan.nii.gz -o bigger.nii.gz --report")

# %%
# Look at it
# ----------
# ``iconet view scan.nii.gz`` opens a page on your computer, on which you compare before and after.
# Here is a picture instead.

names = {"Scan": "scan", "ICONet": "bigger", "Truth": "truth"}
scans = {name: nibabel.load(terminal.folder / f"{file}.nii.gz") for name, file in names.items()}
side_by_side(scans)

# %%
# The same, closer.

side_by_side(scans, detail=(0.3, 0.15, 0.4, 0.35))

# %%
# Measure it
# ----------
# You can do this only because the truth is known. With a scan of your own, read the report: see
# :doc:`/tutorials/plot_6_trust`.

terminal("iconet evaluate bigger.nii.gz truth.nii.gz")

# %%
# It lies at the same place
# -------------------------
# The voxels are half as wide and cover the same field of view. So the first centre moves by a
# quarter of an old voxel.

for name, scan in scans.items():
    print(f"{name:7}", scan.shape, scan.affine[:3, 3].round(3))

# %%
# Next
# ----
# * ``--scale 4`` enlarges four times. Read the `limits <../models.html#limits>`_ first.
# * ``iconet upscale folder/ -o results/`` takes all scans of a folder. Rerun it to resume.
# * Wrong input ends with one line that says what to do:

terminal("iconet upscale nothing.nii.gz -o bigger.nii.gz", code=2)
