"""How work and time grow with the pixels: 512 x 512 against 256 x 256, for every named size at 2x.

    python benchmarks/growth.py [rounds]

Prints a Markdown table. The network runs as in `iconet upscale`: precision of the machine, channels
last, freed memory kept. FLOPs are counted by PyTorch (a multiplication and an addition are two);
times are medians of rounds in which both image sizes take turns, so that a drift of the machine
meets both. Run it on an otherwise idle machine.
"""

import statistics
import sys
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from iconet.allocator import keep_freed_blocks
from iconet.network import SIZES, ICONet
from iconet.upscaling.device import Compute, choose_compute

SIDES = (256, 512)
ROUNDS = 7


def flops(model: ICONet, image: torch.Tensor) -> int:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(image)
    return counter.get_total_flops()


def seconds(model: ICONet, image: torch.Tensor, compute: Compute) -> float:
    start = time.perf_counter()
    with torch.inference_mode(), compute.autocast():
        model(image)
    if compute.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    keep_freed_blocks()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    compute = choose_compute()
    torch.manual_seed(0)
    images = [
        torch.rand(1, 1, side, side, device=compute.device).to(memory_format=torch.channels_last)
        for side in SIDES
    ]
    cuda = compute.device.type == "cuda"
    machine = (
        torch.cuda.get_device_name()
        if cuda
        else f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"{machine}; {compute}; torch {torch.__version__}; median of {rounds} rounds\n")
    small, large = SIDES
    print(
        f"| size | parameters | GFLOPs, {small}^2 | GFLOPs, {large}^2 | ratio "
        f"| seconds, {small}^2 | seconds, {large}^2 | ratio |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name, size in SIZES.items():
        model = ICONet(scale=2, **size).to(compute.device, memory_format=torch.channels_last).eval()
        work = [flops(model, image) for image in images]
        for image in images:  # the first pass of a shape chooses kernels
            seconds(model, image, compute)
        times = [[seconds(model, image, compute) for image in images] for _ in range(rounds)]
        first, second = (statistics.median(column) for column in zip(*times, strict=True))
        parameters = sum(p.numel() for p in model.parameters())
        print(
            f"| {name} | {parameters / 1e6:.2f} M | {work[0] / 1e9:.1f} | {work[1] / 1e9:.1f} "
            f"| {work[1] / work[0]:.2f} | {first:.3f} | {second:.3f} | {second / first:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
