"""
Labels stay labels
==================

A label map is enlarged by a vote of its neighbours. No value comes in between, and no label is
lost.
"""

import nibabel
import numpy as np
from matplotlib import pyplot
from scanner import bundled

import iconet

scan = iconet.degrade(bundled(20, 22), scale=2)
image = scan.get_fdata()
labels = np.digitize(image, np.quantile(image[image > 60], [0.1, 0.5, 0.8])).astype(np.uint8)
given = nibabel.Nifti1Image(labels, scan.affine)
bigger = iconet.upscale(given, kind="labels")
print("values before:", np.unique(labels), "after:", np.unique(np.asarray(bigger.dataobj)))

figure, axes = pyplot.subplots(1, 2, figsize=(7, 4.2), layout="constrained")
for place, (name, one) in zip(axes, {"Labels": given, "Enlarged": bigger}.items(), strict=True):
    place.imshow(np.asarray(one.dataobj)[:, ::-1, 0].T, cmap="viridis", interpolation="nearest")
    place.set_title(name, fontsize=10)
    place.set_axis_off()
