"""Parameters and time of a training step of ICONet and of the networks it is compared with.

    OMP_NUM_THREADS=1 python benchmarks/peers_step_time.py [rounds [scale [name ...]]]

Prints a Markdown table. A step is forward, loss, backward and AdamW on 8 patches of 48 x 48
low-resolution pixels, in bf16 as in training (channels last, freed memory kept). The networks take
turns, so that a drift of the machine meets all; on a CPU the time is that of the processor, not of
the clock, so that other programs hardly count. Peers whose library is missing are left
out and named.
"""

import statistics
import sys
import time

import torch
from torch import nn

from iconet import peers
from iconet.errors import InputError
from iconet.network import SIZES, ICONet, collaboration_loss
from iconet.runtime.allocator import keep_freed_blocks
from iconet.runtime.device import choose_compute

ROUNDS = 10
BATCH, SIDE = 8, 48


def main() -> None:
    keep_freed_blocks()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    scale = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    device = choose_compute().device
    torch.manual_seed(0)

    networks: dict[str, nn.Module] = {"iconet base": ICONet(scale, **SIZES["base"])}
    for name in sys.argv[3:] or peers.NAMES:
        try:
            networks[name] = peers.build(name, scale)
        except InputError as error:
            print(f"{name} left out: {error}\n")
    low = torch.rand(BATCH, 1, SIDE, SIDE, device=device)
    clean = [low]
    while clean[-1].shape[-1] < scale * SIDE:
        clean.append(torch.nn.functional.interpolate(clean[-1], scale_factor=2))
    optimizers = {}
    for name, network in networks.items():
        network.to(device).to(memory_format=torch.channels_last)
        optimizers[name] = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step(name: str) -> float:
        start = time.process_time() if device.type == "cpu" else time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            output = networks[name](low)
        collaboration_loss(output, clean).backward()
        optimizers[name].step()
        optimizers[name].zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.process_time() if device.type == "cpu" else time.perf_counter()) - start

    times: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(rounds + 1):
        for name in networks:
            seconds = step(name)
            if turn:  # the first is for warming up
                times[name].append(1000 * seconds)

    machine = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    threads = torch.get_num_threads()
    print(f"{machine}, {threads} threads, torch {torch.__version__}, {rounds} rounds, {scale}x\n")
    print("| network | parameters | ms a step, median | min |\n|---|---|---|---|")
    for name, network in networks.items():
        parameters = sum(p.numel() for p in network.parameters())
        median, least = statistics.median(times[name]), min(times[name])
        print(f"| {name} | {parameters:,} | {median:.0f} | {least:.0f} |")


if __name__ == "__main__":
    main()
