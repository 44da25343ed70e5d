"""
Compare your own network
========================

Your network takes part in the benchmark without a change to iconet. You name its class:
``package.module:Class``.
"""

import nibabel
from scanner import bundled
from terminal import Terminal

terminal = Terminal()

# %%
# The network
# -----------
# It gets a normalised slice and returns what is to be added to the interpolated one. iconet does
# the rest, and does it for every network alike: intensities, interpolation, tiles, k-space
# consistency.

NETWORK = '''
import torch


class Small(torch.nn.Module):
    """Three convolutions."""

    halo = 4  # pixels of context around a tile
    width = 16  # features at the input's size

    def __init__(self, scale, channels, width=16):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(channels, width, 3, padding=1),
            torch.nn.GELU(),
            torch.nn.Conv2d(width, width, 3, padding=1),
            torch.nn.GELU(),
            torch.nn.Conv2d(width, channels * scale**2, 3, padding=1),
            torch.nn.PixelShuffle(scale),
        )

    def forward(self, image):
        return self.layers(image)
'''
(terminal.folder / "nets.py").write_text(NETWORK)

# %%
# The scans
# ---------
# A table says which scan is in which split. Four parts of one brain stand for four persons here.

(terminal.folder / "data").mkdir()
rows = ["dataset,subject,split,path,contrast,sharp_plane"]
for number, split in enumerate(("train", "validation", "test", "test")):
    part = bundled(2 + 6 * number, 6 + 6 * number)
    nibabel.save(part, terminal.folder / "data" / f"{number}.nii.gz")
    rows.append(f"mine,person{number},{split},{number}.nii.gz,T1w,axial")
(terminal.folder / "data" / "splits.csv").write_text("\n".join(rows) + "\n")

# %%
# The recipe
# ----------
# Equal steps for both networks here. ``budget: 30m`` instead of ``steps`` gives both the same time.

RECIPE = """
data: {root: data}
datasets: [mine]
output: out
conditions:
  - {name: super-resolution-x2, scale: 2}
interpolations: [zero-filling]
networks:
  - {name: edsr-baseline, network: {architecture: edsr-baseline}}
  - {name: mine, network: {architecture: "nets:Small"}}
steps: 5
training:
  optimisation: {batch: 4, patch: 64, warm_up: 2, validate_every: 1000}
"""
(terminal.folder / "compare.yaml").write_text(RECIPE)
terminal("iconet benchmark compare.yaml")

# %%
# The page
# --------
# ``out/benchmark.md`` has the table, with intervals over subjects, the cost of each network and
# figures. After five steps the numbers mean nothing.

page = (terminal.folder / "out" / "benchmark.md").read_text()
print("\n".join(line for line in page.splitlines() if line.startswith("|"))[:1500])

# %%
# Naming a class imports its module, and importing runs it. Read a recipe of somebody else before
# you use it. `Training <../training.html#a-network-of-your-own>`_ has the interface.
