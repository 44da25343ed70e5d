"""Time and peak memory of `iconet upscale` on a whole volume, start of the program included.

    python benchmarks/upscale_volume.py [--filled] [--model mri-x2] [--backend auto]

The volume is a ball of texture in noise, as a head is in air; with `--filled` texture to its edges,
which leaves no background to spare the network. Prints a line for a Markdown table: seconds from
the command to the file, those of the processor (of all cores together), those until the first slice
is taken up, what the network alone needs for as many whole slices once it is ready (called from as
many threads, images in memory), its share of the seconds (where the slices are whole), and the peak
memory. Run it on an otherwise idle machine.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np

from iconet.runtime.hardware import processor_name

SHAPE = (256, 256, 150)
SAMPLE = 32  # slices that the network's own rate is measured on

PROGRAM = """
import sys, time
import iconet.cli
from iconet.upscaling import slices

predict = slices._Work.predict

def first(*job):
    slices._Work.predict = predict
    sys.stdout.write(f"first slice {time.time()}\\n")  # several threads may come here
    return predict(*job)

slices._Work.predict = first
iconet.cli.main()
"""


def write_volume(path: Path, *, filled: bool) -> None:
    """Smooth texture and noise; no slice is constant."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in SHAPE), indexing="ij", sparse=True)
    inside = (x**2 + y**2 + z**2 < 1) | filled
    texture = inside * (500 + 100 * np.cos(30 * x + 20 * y) * np.cos(25 * z))
    volume = (texture + rng.rayleigh(10, SHAPE)).astype(np.int16)
    nibabel.Nifti1Image(volume, np.eye(4)).to_filename(path)


def network_seconds(options: argparse.Namespace) -> float:
    """For all slices, measured on some."""
    import torch

    import iconet
    from iconet.runtime.allocator import keep_freed_blocks
    from iconet.runtime.backends import prepare
    from iconet.runtime.device import choose_compute
    from iconet.runtime.threads import workers
    from iconet.upscaling.windows import plan_windows

    keep_freed_blocks()
    compute = choose_compute("auto", options.precision, options.backend)
    network = iconet.load(options.model, device=str(compute.device))
    network = network.to(memory_format=torch.channels_last)
    plan = plan_windows(network, *SHAPE[:2], device=compute.device.type)
    run = prepare(network, compute, plan.workers)
    batch, intensity = torch.rand(plan.batch, 1, *SHAPE[:2]), torch.ones(plan.batch, 1, 1, 1)

    def once(_: int) -> None:
        with torch.inference_mode():
            run(batch, intensity)

    def several(pool: ThreadPoolExecutor) -> float:
        start = time.perf_counter()
        list(pool.map(once, range(SAMPLE // plan.batch)))
        return time.perf_counter() - start

    with workers(plan.workers, each=max(1, torch.get_num_threads() // plan.workers)) as pool:
        several(pool)
        return several(pool) * SHAPE[2] / (SAMPLE // plan.batch * plan.batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="mri-x2")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--filled", action="store_true")
    options = parser.parse_args()
    filled = vars(options).pop("filled")
    given = [f"--{name}={value}" for name, value in vars(options).items()]
    with tempfile.TemporaryDirectory() as folder:
        scan, output = Path(folder) / "scan.nii.gz", Path(folder) / "big.nii.gz"
        write_volume(scan, filled=filled)
        command = [sys.executable, "-c", PROGRAM, "upscale", str(scan), "-o", str(output), *given]
        start = time.time()
        result = subprocess.run(command, check=True, text=True, capture_output=True)
        seconds = time.time() - start
        taken_up = [line for line in result.stdout.splitlines() if line.startswith("first slice")]
        first = min(float(line.split()[-1]) for line in taken_up) - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(result.stderr.splitlines()[-1].partition(": ")[2], file=sys.stderr)
    alone = network_seconds(options)
    import torch

    size, asked = " x ".join(map(str, SHAPE)), " ".join(given)
    size += ", filled" if filled else ", ball in noise"
    columns = ("volume", "options", "machine", "seconds", "of the processor", "to the first slice")
    print("|", " | ".join((*columns, "network alone", "its share", "peak memory")), "|")
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {size} | {asked} | {processor_name()}, {torch.get_num_threads()} cores | {seconds:.1f}"
        f" | {used.ru_utime + used.ru_stime:.1f} | {first:.1f} | {alone:.1f}"
        f" | {f'{alone / seconds:.0%}' if filled else ''} | {used.ru_maxrss / 1e6:.2f} GB |"
    )


if __name__ == "__main__":
    main()
