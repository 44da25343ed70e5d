"""
Fine-tune on five scans
=======================

You have few scans of a kind that the shipped models saw little of. Begin with shipped weights
instead of from nothing.

What it is worth
----------------

We measured it with five T2w scans: three to train on, one to choose the best step by, one for
tests. 1000 steps took seven minutes of one shared core. Another patient's scan, which had no part
in the run:

================  ========  ======
Method            PSNR, dB  SSIM
================  ========  ======
zero-filling      28.88     0.8803
``mri-x2``        30.93     0.9167
fine-tuned        31.17     0.9197
================  ========  ======

That scan comes from the same scanner as the training scans. One scan says little of other scanners:
test on your own.
"""

import nibabel
from scanner import bundled
from terminal import Terminal

# %%
# The command
# -----------
# Three persons or more, one file for each. Here again they are parts of one brain, and 10 steps
# instead of 1000.

terminal = Terminal()
(terminal.folder / "five").mkdir()
for number in range(5):
    part = bundled(2 + 6 * number, 6 + 6 * number)
    nibabel.save(part, terminal.folder / "five" / f"person{number}.nii.gz")

terminal(
    "iconet train fine-tune-x2 data.root=five optimisation.steps=10 optimisation.batch=4"
    " optimisation.warm_up=2 optimisation.validate_every=5"
)

# %%
# It cannot get worse in silence
# ------------------------------
# The run validates the start first, as step 0. It keeps a later step only if that is no worse. If
# nothing was gained, it says so, and the file holds the weights of the start.
#
# For 4x: ``iconet train fine-tune-x2 data.root=five name=fine-tune-x4 scale=4 start_from=mri-x4``.
#
# Use it with ``--model runs/fine-tune-x2/fine-tune-x2.safetensors``. The learning rate and what
# else was tried: `training <../training.html#fine-tuning>`_.
