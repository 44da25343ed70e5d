"""
Train on your folder
====================

Put scans into a folder, one file for each person, and give one command. iconet divides the persons
into training, validation and test, trains, and keeps the best step.
"""

import nibabel
from scanner import bundled
from terminal import Terminal

# %%
# A folder of scans
# -----------------
# The bundled scan is all that this page has. So its "five persons" are parts of one brain. That is
# enough to show the way, not to learn anything.

terminal = Terminal()
(terminal.folder / "scans").mkdir()
for number in range(5):
    part = bundled(2 + 6 * number, 8 + 6 * number)
    nibabel.save(part, terminal.folder / "scans" / f"person{number}.nii.gz")

# %%
# Train
# -----
# ``own-scans-x2`` is a recipe of the package. It takes 20,000 steps. We replace some of its values
# and take 20.

terminal(
    "iconet train own-scans-x2 data.root=scans optimisation.steps=20 optimisation.batch=4"
    " optimisation.warm_up=2 optimisation.validate_every=10"
)

# %%
# What it wrote
# -------------

for path in sorted((terminal.folder / "runs" / "own-scans-x2").iterdir()):
    print(path.name)

# %%
# ``splits.csv`` says which person is in which split. Publish it with your results. Rerun the
# command to resume a run that was stopped.

print((terminal.folder / "runs" / "own-scans-x2" / "splits.csv").read_text())

# %%
# Use the weights
# ---------------

nibabel.save(bundled(20, 22), terminal.folder / "scan.nii.gz")
terminal(
    "iconet upscale scan.nii.gz -o bigger.nii.gz --model runs/own-scans-x2/own-scans-x2.safetensors"
)

# %%
# How long a real run takes depends on your machine: ``--max-time 8h`` ends it in time. `Training
# <../training.html>`_ is about long runs, several GPUs and several nodes. `Data <../data.html>`_
# has a recipe for each published data set.
