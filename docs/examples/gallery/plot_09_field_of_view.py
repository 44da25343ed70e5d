"""
The field of view stays
=======================

Old and new voxels cover the same field of view. So the first centre moves by half of the difference
of the voxels: a quarter of an old voxel at 2x. A program that keeps it in place shifts the anatomy.
"""

from matplotlib import pyplot
from scanner import bundled

import iconet

low = iconet.degrade(bundled(20, 22), scale=2)
bigger = iconet.upscale(low)

figure, axes = pyplot.subplots(figsize=(8, 2.2), layout="constrained")
for height, (name, scan) in enumerate({"Scan": low, "ICONet": bigger}.items()):
    step, first = scan.affine[0, 0], scan.affine[0, 3]
    count = 6 if scan is low else 12
    centres = [first + step * index for index in range(count)]
    edges = [first + step * (index - 0.5) for index in range(count + 1)]
    axes.vlines(edges, height - 0.3, height + 0.3, colors="grey", linewidth=1)
    axes.plot(centres, [height] * count, "o", label=name)
axes.set_yticks([0, 1], ["Scan", "ICONet"])
axes.set_ylim(-0.5, 1.5)
axes.set_xlabel("mm along the first voxel axis: edges and centres of voxels")
