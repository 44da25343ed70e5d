"""
Thin slices from thick ones
===========================

An axial picture of a scan with coronal slices of 3.75 mm, and the same made thin.
"""

from pictures import side_by_side
from scanner import bundled

import iconet

truth = bundled(20, 28)
thick = iconet.degrade(truth, axis="j", scale=4)
thin = iconet.upscale(thick, axes="j", scale=4)
side_by_side({"Thick slices": thick, "ICONet": thin, "Truth": truth})
