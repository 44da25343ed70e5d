"""
Four times as many pixels
=========================

A sixteenth of the pixels is little to start from. Large structures come back. Fine ones are guessed
or stay soft.
"""

from pictures import side_by_side
from scanner import bundled

import iconet

truth = bundled(18, 22)
low = iconet.degrade(truth, scale=4)
side_by_side({"Low resolution": low, "ICONet": iconet.upscale(low, scale=4), "Truth": truth})
