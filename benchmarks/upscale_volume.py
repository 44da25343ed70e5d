"""Time and peak memory of `iconet upscale` on a whole volume, start of the program included.

    python benchmarks/upscale_volume.py [options of iconet upscale]

Prints a line for a Markdown table. Run it on an otherwise idle machine.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import torch

SHAPE = (256, 256, 150)


def write_volume(path: Path) -> None:
    """A ball of smooth texture in noise: no slice is constant, so none is skipped."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in SHAPE), indexing="ij", sparse=True)
    ball = (x**2 + y**2 + z**2 < 1) * (500 + 100 * np.cos(30 * x + 20 * y) * np.cos(25 * z))
    volume = (ball + rng.rayleigh(10, SHAPE)).astype(np.int16)
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scan, output = Path(folder) / "scan.nii.gz", Path(folder) / "big.nii.gz"
        write_volume(scan)
        command = [sys.executable, "-m", "iconet.cli", "upscale", str(scan), "-o", str(output)]
        start = time.perf_counter()
        result = subprocess.run(
            [*command, *sys.argv[1:]], check=True, text=True, stderr=subprocess.PIPE
        )
        seconds = time.perf_counter() - start
        megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
        print(result.stderr.splitlines()[-1].partition(": ")[2], file=sys.stderr)
    cpu = torch.cpu.get_capabilities().get("cpu_name", "CPU")
    size = " x ".join(map(str, SHAPE))
    options = " ".join(sys.argv[1:]) or "defaults"
    print("| volume | options | machine | seconds | peak memory |\n|---|---|---|---|---|")
    print(
        f"| {size} | {options} | {cpu}, {torch.get_num_threads()} cores "
        f"| {seconds:.1f} | {megabytes / 1e3:.2f} GB |"
    )


if __name__ == "__main__":
    main()
