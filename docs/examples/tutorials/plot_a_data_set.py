"""
Add a data set
==============

iconet knows how some published data sets are laid out: IXI, fastMRI, HECKTOR, BIDS. For any other
you say where the person is in the names, or write a table.
"""

import nibabel
from scanner import bundled
from terminal import Terminal

terminal = Terminal()

# %%
# Names with a pattern
# --------------------
# A folder for each person, with two contrasts in it. Without a pattern, two scans of one person
# might go into training *and* test.

for number in range(4):
    folder = terminal.folder / "study" / f"P{number:02}"
    folder.mkdir(parents=True)
    for contrast in ("T1w", "T2w"):
        nibabel.save(bundled(2 + 6 * number, 5 + 6 * number), folder / f"{contrast}.nii.gz")

terminal(
    "iconet train own-scans-x2 data.root=study optimisation.steps=2 optimisation.batch=4"
    " optimisation.warm_up=1 optimisation.validate_every=2"
    """ data.pattern="'{subject}/{contrast}.nii.gz'" """
)
print((terminal.folder / "runs" / "own-scans-x2" / "splits.csv").read_text())

# %%
# Braces mean something to YAML. So the pattern is quoted twice: once for the shell, once for YAML.
# ``*`` in a pattern stands for anything.
#
# The split follows from a hash of the person's name. So it is the same on every machine, and a
# person who is added later moves nobody. ``data.contrasts=[T2w]`` takes some contrasts.
#
# A table
# -------
# The table above is also what you write by hand. Lay it into the folder as ``splits.csv``, or name
# it by ``data.splits=/path/to/splits.csv``. Then any recipe without ``data.layout`` takes it, such
# as ``mri-x2``.
#
# A layout of its own
# -------------------
# To make iconet know a published data set, write a function in ``src/iconet/data/layouts.py`` that
# finds its scans, a test with small files in exactly that layout, and a recipe. `Data
# <../data.html>`_ says what a run does with them.
