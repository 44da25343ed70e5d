"""
Raw k-space
===========

A scanner that skips lines of k-space is faster. iconet reconstructs what is missing and enlarges
the slices in one step.
"""

import json

import nibabel
from pictures import side_by_side
from scanner import bundled, write_kspace
from terminal import Terminal

import iconet

# %%
# A file as fastMRI stores it
# ---------------------------
# Four slices, eight coils, about every third line measured, with noise. The coils and the noise are
# simulated.

terminal = Terminal()
truth = bundled(18, 22)
scan = iconet.degrade(truth, scale=2)
write_kspace(scan, terminal.folder / "raw.h5", coils=8, acceleration=3, noise=0.01)

# %%
# Reconstruct and enlarge
# -----------------------

terminal("iconet upscale raw.h5 -o bigger.nii.gz --report")

# %%
# ``--scale 1`` gives the reconstruction alone, ``--complex`` the complex image.

terminal("iconet upscale raw.h5 -o image.nii.gz --scale 1")

# %%
# The file does not say where the slices lie in the scanner. We take the truth's place for the
# picture.


def placed(file, place):
    made = nibabel.load(terminal.folder / file)
    return nibabel.Nifti1Image(made.get_fdata(), place.affine)


side_by_side(
    {
        "Reconstruction alone": placed("image.nii.gz", scan),
        "Enlarged": placed("bigger.nii.gz", truth),
        "Truth": truth,
    }
)

# %%
# How it fits the samples
# -----------------------
# The report compares the image with what the coils measured. A residual of about 1, in units of the
# noise, means: the image agrees with the measurement.

report = json.loads((terminal.folder / "bigger.nii.gz.report.json").read_text())
print(json.dumps(report["input"]["kspace"], indent=2))

# %%
# What is refused, and what becomes of partial Fourier: `raw k-space <../kspace.html>`_.
