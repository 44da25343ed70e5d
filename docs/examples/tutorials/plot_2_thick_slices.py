"""
Thick slices
============

Clinical 2-D scans have sharp pixels and thick slices. ``--isotropic`` makes the slices as thin as
the pixels are wide.
"""

import nibabel
from pictures import side_by_side
from scanner import bundled
from terminal import Terminal

import iconet

terminal = Terminal()
nibabel.save(bundled(20, 28), terminal.folder / "truth.nii.gz")

# %%
# A scan with coronal slices of 3.75 mm
# -------------------------------------
# ``--axis j`` thickens the slices across the second voxel axis. Each slice is a mean over its
# profile, as a scanner measures it.

terminal("iconet degrade truth.nii.gz -o thick.nii.gz --axis j --scale 4")

# %%
# Make them thin
# --------------
# The volume is cut into the slices of both planes that contain the thick axis. ``mri-slice-x4`` and
# ``mri-slice-x2`` enlarge that axis in each plane, and the two results are averaged. The smallest
# spacing is 0.9 mm, so all axes get 0.9 mm. A resampling ends on it exactly.

terminal("iconet upscale thick.nii.gz -o thin.nii.gz --isotropic")

# %%
# You may also name the spacing: ``--spacing 1.5`` for all axes, ``--spacing 0.9x1.5x0.9`` for each.
# ``--axes j`` enlarges this axis only, by the model's scale.
#
# An axial slice, which crosses the thick ones:

names = {"Thick slices": "thick", "ICONet": "thin", "Truth": "truth"}
scans = {name: nibabel.load(terminal.folder / f"{file}.nii.gz") for name, file in names.items()}
side_by_side(scans, at=0.5)

# %%
# How good is it?
# ---------------
# Better than interpolation and smoother than the truth. Slices of 3.75 mm next to each other blur
# as much as they skip. A lesion thinner than a slice was averaged with what lies around it when the
# slice was measured. It does not come back.

by_axis = iconet.upscale(scans["Thick slices"], axes="j", scale=4)
print(iconet.evaluate(by_axis, scans["Truth"]))

# %%
# The page on `thick slices <../through-plane.html>`_ has the numbers for test subjects.
