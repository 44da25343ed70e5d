"""
The two branches
================

Every stage makes two images: an artifact-free one at the size of its input, and one that is twice
as large. ``mri-x4`` has two stages.
"""

import numpy as np
import torch
from matplotlib import pyplot
from scanner import bundled

import iconet

low = iconet.degrade(bundled(20, 22), scale=4).get_fdata(dtype=np.float32)[:, :, 0]
model = iconet.load("mri-x4")
with torch.inference_mode():
    output = model(torch.from_numpy(low)[None, None])

images = {"Input": torch.from_numpy(low)[None, None]}
for number, stage in enumerate(output.stages, 1):
    images[f"Stage {number}: reconstruction"] = stage.reconstruction
    images[f"Stage {number}: super-resolution"] = stage.super_resolution

figure, axes = pyplot.subplots(1, 5, figsize=(13, 3.6), layout="constrained")
for place, (name, image) in zip(axes, images.items(), strict=True):
    picture = image[0, 0].numpy()[:, ::-1].T
    place.imshow(picture, cmap="gray", vmin=0, vmax=np.percentile(picture, 99.3))
    place.set_title(f"{name}\n{picture.shape[1]} x {picture.shape[0]}", fontsize=10)
    place.set_axis_off()
