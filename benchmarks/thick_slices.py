"""A scan of 0.9 x 0.9 x 5 mm becomes isotropic by one command: numbers and a picture.

    python benchmarks/thick_slices.py [--output docs]

The scan that comes with the package, resampled to 0.9 mm in all axes, is the truth (its axial plane
is sharp to the limit, and no training has seen it). Coronal slices of 5 mm, as a scanner would have
taken them (Gaussian profile of 5 mm, no gaps), are made from a 20 times finer grid, as 5 is no
multiple of 0.9. Then `iconet upscale thick.nii.gz -o thin.nii.gz --isotropic`, beside linear and
cubic B-spline interpolation and zero-filling onto the same grid.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from iconet.evaluation.panel import panel, upright
from iconet.evaluation.through_plane import compare_through_plane, to_text
from iconet.images import Scan, read, respaced_affine, write
from iconet.physics.slice_profile import thick_slices
from iconet.upscaling.resampling import resample_axis

SPACING, THICKNESS, ACROSS = 0.9, 5.0, 1
FINER = 20  # positions in a thick slice
ORDERS = {"Linear": 1, "Cubic B-spline": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder of the picture")
    options = parser.parse_args()
    with as_file(files("iconet") / "demo_scan" / "sub-01_T1w_slab.nii.gz") as path:
        original = read(path)
    truth = resampled(original, (SPACING,) * 3)
    thick = thickened(truth)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "thick.nii.gz"), Path(folder, "thin.nii.gz")
        write(thick, before, like=original)
        command = ["upscale", str(before), "-o", str(after), "--isotropic"]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "iconet.cli", *command], check=True)
        seconds = time.perf_counter() - start
        thin = read(after)
    print(f"\n{thick.array.shape} voxels of {THICKNESS:g} mm along axis {ACROSS}", end=" ")
    print(f"to {thin.array.shape} of {thin.spacing[ACROSS]:.3f} mm: {seconds:.0f} s\n")

    results = {name: interpolated(thick, thin, order) for name, order in ORDERS.items()}
    size, step = thin.array.shape[ACROSS], thin.spacing[ACROSS] / THICKNESS
    results["Zero-filling"] = resample_axis(thick.array, ACROSS, size, step)
    results["ICONet"] = thin.array
    wanted = sampled(truth, thin)
    measures = {
        name: compare_through_plane(volume, wanted, ACROSS) for name, volume in results.items()
    }
    print(to_text(measures))

    assert thin.affine is not None
    shown = {name: upright(v, thin.affine, 2, v.shape[2] // 2) for name, v in results.items()}
    image, aspect = upright(wanted, thin.affine, 2, wanted.shape[2] // 2)
    panel(
        options.output / "thick-slices.png",
        {name: image for name, (image, _) in shown.items()},
        image,
        captions={name: f"{m.psnr:.2f} dB   SSIM {m.ssim:.4f}" for name, m in measures.items()},
        title=f"T1w brain, coronal slices of {THICKNESS:g} mm to {SPACING:g} mm, seen in the axial"
        " plane. PSNR and SSIM inside the head, all slices.",
        pixel_aspect=aspect,
    )


def resampled(scan: Scan, spacing: tuple[float, ...]) -> Scan:
    """On another spacing, about the same centre of the field of view, cut at the new Nyquist."""
    assert scan.affine is not None
    array = scan.array
    for axis, (old, new) in enumerate(zip(scan.spacing, spacing, strict=True)):
        array = resample_axis(array, axis, int(array.shape[axis] * old / new), new / old)
    return regridded(scan, array, np.divide(spacing, scan.spacing))


def regridded(scan: Scan, array: NDArray, step: NDArray) -> Scan:
    """Other values on a grid about the same centre, `step` old voxels apart."""
    assert scan.affine is not None
    affine = respaced_affine(scan.affine, scan.array.shape, array.shape, step)
    return Scan(np.asarray(array, np.float32), affine)


def thickened(scan: Scan) -> Scan:
    """Slices of THICKNESS, next to each other."""
    fine = THICKNESS / FINER / SPACING
    count = int(scan.array.shape[ACROSS] / fine / FINER) * FINER
    rows = np.moveaxis(resample_axis(scan.array, ACROSS, count, fine), ACROSS, -1)
    means = thick_slices(torch.from_numpy(np.ascontiguousarray(rows)), FINER, profile="gaussian")
    step = np.ones(3)
    step[ACROSS] = THICKNESS / SPACING
    return regridded(scan, np.moveaxis(means.numpy(), -1, ACROSS), step)


def sampled(scan: Scan, grid: Scan) -> NDArray:
    """A scan's values on another grid with the same axes."""
    array = scan.array
    for axis in range(3):
        step = grid.spacing[axis] / scan.spacing[axis]
        array = resample_axis(array, axis, grid.array.shape[axis], step)
    return array


def interpolated(scan: Scan, grid: Scan, order: int) -> NDArray:
    """A spline's values on another grid, at the places in the scanner."""
    assert scan.affine is not None
    assert grid.affine is not None
    there = np.linalg.inv(scan.affine) @ grid.affine
    return affine_transform(
        scan.array, there, output_shape=grid.array.shape, order=order, mode="nearest"
    )


if __name__ == "__main__":
    main()
