"""
DICOM in and out
================

A DICOM series goes in, a derived series comes out: in the same study, at the same place in the
patient, with "research use, not for diagnosis" in its header.
"""

import nibabel
import pydicom
from scanner import bundled, write_dicom
from terminal import Terminal

import iconet

terminal = Terminal()
write_dicom(iconet.degrade(bundled(16, 24), scale=2), terminal.folder / "series")

# %%
# A folder of files
# -----------------
# Give iconet the folder, a single file, a zip or a DICOMDIR. An output without a suffix is the
# folder of a new series.

terminal("iconet upscale series -o derived")

# %%
# What the new header says
# ------------------------
# Patient and study are those of the source. The series is new.

first = pydicom.dcmread(sorted((terminal.folder / "derived").iterdir())[0])
for name in (
    *("PatientName", "Modality", "SeriesNumber", "SeriesDescription", "ImageType"),
    *("Rows", "Columns", "PixelSpacing", "DerivationDescription"),
):
    print(f"{name:22} {getattr(first, name, '')}")

# %%
# The UIDs follow from the source, the weights, the options and the version of iconet. Run the
# command again, and you get the same series, not another one.
#
# To NIfTI
# --------
# The suffix of the output decides.

terminal("iconet upscale series -o bigger.nii.gz")
print(nibabel.load(terminal.folder / "bigger.nii.gz").affine.round(3))

# %%
# Several series
# --------------
# A study with several series is refused with a list. ``--series 4`` takes one, ``--only mr`` takes
# every MR series, ``--all-series`` takes all. A series that iconet derived is recognised and never
# upscaled again:

terminal("iconet upscale derived -o again", code=2)

# %%
# To let a PACS send series by itself, run a `DICOM node <../node.html>`_. What becomes of missing
# slices, tilted gantries and several volumes is on the page about `files <../files.html>`_.
