"""Scans, networks and the command that test studies consist of."""

import io
import json
from dataclasses import asdict
from pathlib import Path

import h5py
import nibabel
import numpy as np
import torch
from safetensors.torch import save_file

import iconet
from iconet import cli
from iconet.network import SIZES

from ..images.raw_fastmri import HEADER
from ..images.slices import save_all, slices_of


class Terminal(io.StringIO):
    """Keeps what is written to it, as to a terminal."""

    def isatty(self):
        return True


def network(path, seed):
    torch.manual_seed(seed)
    made = iconet.ICONet(2, **SIZES["tiny"])
    recipe = {"degradation": {"kspace": 1.0}}
    metadata = {
        "format": "iconet",
        "config": json.dumps(asdict(made.config)),
        "name": "mine",
        "recipe": json.dumps(recipe),
    }
    save_file(made.state_dict(), path, metadata)


def scan(path, seed=0):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).gamma(2, 50, (20, 24, 3)).astype(np.int16)
    nibabel.Nifti1Image(values, np.diag([-1.0, 1, 3, 1])).to_filename(path)


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def times(folder):
    return {name: (Path(folder) / name).stat().st_mtime_ns for name in files_below(folder)}


PURPOSE = "structural MRI (T1w), slices 2x larger in plane"
AFFINE = np.array([[-0.8, 0, 0, 90], [0, -0.7, 0, 70], [0, 0, 3, -40], [0, 0, 0, 1.0]])


def series(
    path,
    modality="CT",
    uid="1.2.3",
    number=4,
    shape=(20, 24, 3),
    description="",
    affine=AFFINE,
):
    smooth = sum(np.ogrid[tuple(slice(n) for n in shape)]) * 20
    made = slices_of(smooth.astype(np.int16), affine, intercept=-1024)
    for image in made:
        image.Modality, image.SeriesInstanceUID, image.SeriesNumber = modality, uid, number
        image.SeriesDescription = description
    return save_all(made, Path(path))


def upscale(*arguments, model="model.safetensors", backend="torch"):
    """The exit code; in the runtime that need not convert the network first."""
    chosen = [] if model is None else ["--model", model]
    return cli.run(["upscale", *arguments, *chosen, "--precision", "fp32", "--backend", backend])


def raw(path):
    """Raw k-space of two slices of 32 x 24: 3 coils, the central and the outermost lines."""
    values = np.random.default_rng(0).normal(size=(2, 3, 32, 24, 2)).astype(np.float32)
    lines = np.isin(np.arange(24), [0, 23]) | (abs(np.arange(24) - 12) < 5)
    sizes = {"H": 32, "W": 24, "h": 32, "w": 24, "fx": 64, "fy": 36, "gx": 64, "gy": 36}
    Path(path).parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = values.view(np.complex64)[..., 0] * lines
        file["ismrmrd_header"] = HEADER.format(**sizes)
