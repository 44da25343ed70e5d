"""
Missing lines of k-space
========================

Every fourth line was measured, with 1 % noise. The network gets the samples and the mask. The
aliased copies go.
"""

import numpy as np
import torch
from matplotlib import pyplot
from scanner import bundled

import iconet
from iconet.intensity import robust_scale
from iconet.network import Samples
from iconet.physics.acquisition import Acquisition

truth = torch.from_numpy(bundled(20, 22).get_fdata(dtype=np.float32)).permute(2, 0, 1)[:1, None]
bright = torch.full((1, 1, 1, 1), robust_scale(truth.numpy()))
scan = Acquisition(acceleration=(4, 4), mask="equispaced", noise_min=0.01, noise_max=0.01)
measured = scan(truth, 2, torch.Generator().manual_seed(0), bright)

model = iconet.load("mri-x2-joint")
image = torch.cat((measured.image.real, measured.image.imag), dim=1)
with torch.inference_mode():
    output = model(image, samples=Samples(measured.kspace, measured.mask))

images = {
    "Zero-filled": measured.image.abs(),
    "Reconstruction": output.stages[0].reconstruction.norm(dim=1, keepdim=True),
    "Super-resolution": output.image.norm(dim=1, keepdim=True),
    "Truth": truth,
}
white = float(truth.quantile(0.993))
figure, axes = pyplot.subplots(1, 4, figsize=(10.4, 3.5), layout="constrained")
for place, (name, one) in zip(axes, images.items(), strict=True):
    place.imshow(
        one[0, 0].numpy()[:, ::-1].T, cmap="gray", vmin=0, vmax=float(truth.quantile(0.993))
    )
    place.set_title(name, fontsize=10)
    place.set_axis_off()
