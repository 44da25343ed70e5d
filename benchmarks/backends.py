"""The network in PyTorch, OpenVINO and ONNX Runtime on a CPU, in turns.

    python benchmarks/backends.py [MODEL] [REPEATS]

Prints a Markdown table: the median of the processor time (all threads) of one slice in each
runtime, and its ratio to PyTorch in fp32, with the largest and the root mean square difference from
it, as shares of the range of intensities. On a busy machine only the ratios count.
"""

import statistics
import sys
import time

import torch

import iconet
from iconet.errors import InputError
from iconet.runtime.backends import prepare
from iconet.runtime.device import Compute, choose_compute

RUNTIMES = [
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
]
SIDES = (128, 256)


def computes() -> list[Compute]:
    found = []
    for backend, precision in RUNTIMES:
        try:
            found.append(choose_compute("cpu", precision, backend))
        except InputError as error:
            print(error, file=sys.stderr)
    return found


def main(name: str = "mri-x2", repeats: str = "5") -> None:
    network = iconet.load(name).to(memory_format=torch.channels_last)
    print("| slice | runtime | CPU seconds | to torch fp32 | largest difference | rms |")
    print("|---|---|---|---|---|---|")
    for side in SIDES:
        slices, one = smooth(side), torch.ones(1, 1, 1, 1)
        times: dict[Compute, list[float]] = {compute: [] for compute in computes()}
        images = {}
        for repeat in range(int(repeats) + 1):
            for compute, seconds in times.items():
                with torch.inference_mode():
                    run = prepare(network, compute)
                    start = time.process_time()
                    images[compute] = run(slices, one).image
                if repeat:  # the first is for warming up
                    seconds.append(time.process_time() - start)
        first = next(iter(times))
        extent = images[first].max() - images[first].min()
        for compute, seconds in times.items():
            median = statistics.median(seconds)
            error = (images[compute] - images[first]) / extent
            print(
                f"| {side} x {side} | {compute.backend} {compute.precision} | {median:.3f} "
                f"| {median / statistics.median(times[first]):.2f} | {error.abs().max():.1e} "
                f"| {error.square().mean().sqrt():.1e} |"
            )


def smooth(side: int) -> torch.Tensor:
    """Texture at the scales that an image has."""
    noise = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    parts = [torch.nn.functional.avg_pool2d(noise, k, 1, k // 2) - 0.5 for k in (3, 9, 33)]
    image = 0.3 * parts[0] + parts[1] + 4 * parts[2]
    return (image - image.min()) / (image.max() - image.min())


if __name__ == "__main__":
    main(*sys.argv[1:])
