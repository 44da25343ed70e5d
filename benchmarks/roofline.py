"""What each size costs at least: its work, its traffic, and the roofs of the machine at hand.

    python benchmarks/roofline.py [FOLDER]

Prints Markdown and draws FOLDER/roofline.png (default docs/performance). Work is that of a slice of
256 x 256 at 2x, counted layer by layer: 2 FLOPs a multiplication and addition, and as bytes every
convolution's (and matrix product's) input, output and weights once, all else fused. No layer
is faster than its FLOPs at the peak and than its bytes at the memory's rate; the floor of a network
is the sum over layers of the larger. Peaks are the best of several runs; networks run as in
`iconet upscale`, the median counts. Run it on an otherwise idle machine.
"""

import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from iconet.network import SIZES, ICONet
from iconet.runtime.allocator import keep_freed_blocks
from iconet.runtime.backends import prepare
from iconet.runtime.device import choose_compute
from iconet.runtime.runtimes import installed

SIDE = 256
BYTES = {"fp32": 4, "bf16": 2}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Published, SXM: bf16 on matrix units without sparsity, fp32 outside of them, HBM3.
# https://www.nvidia.com/en-us/data-center/h100/
H100 = {"bf16": 989e12, "fp32": 67e12, "bandwidth": 3.35e12}


class Layers(TorchDispatchMode):
    """(FLOPs, numbers moved at least) of every convolution and matrix product that runs in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int]] = []
        self.all_moved = 0
        """Numbers that go in and out of all operations, as eager PyTorch runs them."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or not isinstance(result, torch.Tensor):
            return result
        moved = result.numel() + sum(x.numel() for x in args if isinstance(x, torch.Tensor))
        self.all_moved += moved
        if count := flop_registry.get(func._overloadpacket):
            flops = count(*args, **(kwargs or {}), out_val=result)
            self.found.append((flops, moved))
        return result


def layers(network: nn.Module) -> Layers:
    """Of one slice."""
    image, one = torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, 1, 1)
    with torch.no_grad(), Layers() as found:
        network(image, one)
    return found


def floor(found: Layers, precision: str, peak: float, bandwidth: float) -> float:
    size = BYTES[precision]
    return sum(max(flops / peak, size * moved / bandwidth) for flops, moved in found.found)


def best(call: Callable[[], object], runs: int = 7) -> float:
    def once() -> float:
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return min(once() for _ in range(runs + 1))


def measured_roofs(device: torch.device) -> dict[str, float]:
    """FLOP/s of the best of a matrix product and two convolutions, and B/s of a copy."""
    roofs: dict[str, float] = {}
    for name, dtype in DTYPES.items():
        rates = []
        a = torch.randn(2048, 2048, device=device, dtype=dtype)
        rates.append(2 * 2048**3 / best(lambda a=a: a @ a))
        for width, side in ((64, 256), (256, 64)):
            x = torch.randn(1, width, side, side, device=device, dtype=dtype)
            x = x.contiguous(memory_format=torch.channels_last)
            conv = nn.Conv2d(width, width, 3, padding=1).to(device, dtype)
            conv = conv.to(memory_format=torch.channels_last)
            rates.append(2 * 9 * width**2 * side**2 / best(lambda x=x, conv=conv: conv(x)))
        print(f"    {name}: " + ", ".join(f"{rate / 1e12:.3f}" for rate in rates) + " TFLOP/s")
        roofs[name] = max(rates)
    source = torch.ones(2**27, device=device)
    target = torch.zeros_like(source)
    roofs["bandwidth"] = 2 * source.nbytes / best(lambda: target.copy_(source))
    print(f"    copy of 512 MB: {roofs['bandwidth'] / 1e9:.1f} GB/s")
    return roofs


def median_seconds(network: ICONet, precision: str, backend: str, rounds: int = 5) -> float:
    compute = choose_compute("auto", precision, backend)
    run = prepare(network.to(compute.device, memory_format=torch.channels_last), compute)
    image, one = torch.rand(1, 1, SIDE, SIDE), torch.ones(1, 1, 1, 1)
    run(image, one)
    return statistics.median(best(lambda: run(image, one), 0) for _ in range(rounds))


def draw(path: Path, title: str, roofs: dict[str, float], points: list[tuple]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for precision in BYTES:
        corner = roofs[precision] / roofs["bandwidth"]
        line = [(1, roofs["bandwidth"]), (corner, roofs[precision]), (1e4, roofs[precision])]
        style = "k-" if precision == "bf16" else "k--"
        axes.plot(*zip(*line, strict=True), style, label=f"roof, {precision}")
    for intensity, rate, name, backend, precision in points:
        color = f"C{list(SIZES).index(name)}"
        axes.plot(
            intensity,
            rate,
            marker="s" if backend == "openvino" else "o",
            linestyle="",
            markersize=6,
            color=color,
            markerfacecolor=color if precision == "bf16" else "white",
            label=f"{name}, {backend} {precision}",
        )
    axes.set(xscale="log", yscale="log", title=title, ylabel="FLOP/s", xlabel="FLOPs a byte")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=110)


def main(folder: str = "docs/performance") -> None:
    keep_freed_blocks()
    torch.manual_seed(0)
    device = choose_compute().device
    counted = {name: layers(ICONet(2, **size)) for name, size in SIZES.items()}
    print("| size | parameters | GFLOPs | MB at least | MB, every operation | FLOPs/byte |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, found in counted.items():
        parameters = sum(p.numel() for p in ICONet(2, **SIZES[name]).parameters())
        flops, moved = (sum(column) for column in zip(*found.found, strict=True))
        print(
            f"| {name} | {parameters / 1e6:.2f} M | {flops / 1e9:.1f} | {2 * moved / 1e6:.0f} "
            f"| {2 * found.all_moved / 1e6:.0f} | {flops / 2 / moved:.0f} |"
        )
    print("\n| size | floor of an H100 (published, not run), bf16, ms | fp32, ms |\n|---|--:|--:|")
    for name, found in counted.items():
        least = [1e3 * floor(found, p, H100[p], H100["bandwidth"]) for p in ("bf16", "fp32")]
        print(f"| {name} | {least[0]:.3f} | {least[1]:.3f} |")

    # Measured.
    points, drawn = [], {}
    for threads in (1,) if device.type == "cuda" else (1, 2):
        torch.set_num_threads(threads)
        print(f"\n{threads} threads:\n")
        with torch.inference_mode():
            roofs = measured_roofs(device)
        print("\n| size | runtime | threads | floor, ms | measured, ms | share |")
        print("|---|---|--:|--:|--:|--:|")
        drawn = drawn or roofs
        backends = ["torch"] + ["openvino"] * (device.type == "cpu" and installed("openvino"))
        for (name, found), backend, precision in product(counted.items(), backends, BYTES):
            network = ICONet(2, **SIZES[name]).eval()
            with torch.inference_mode():
                seconds = median_seconds(network, precision, backend)
            least = floor(found, precision, roofs[precision], roofs["bandwidth"])
            flops, moved = (sum(column) for column in zip(*found.found, strict=True))
            print(
                f"| {name} | {backend} {precision} | {threads} | {1e3 * least:.1f} "
                f"| {1e3 * seconds:.1f} | {least / seconds:.0%} |",
                flush=True,
            )
            if threads == 1:
                intensity = flops / BYTES[precision] / moved
                points.append((intensity, flops / seconds, name, backend, precision))
    Path(folder).mkdir(parents=True, exist_ok=True)
    draw(Path(folder) / "roofline.png", f"{SIDE} x {SIDE} at 2x, one thread", drawn, points)


if __name__ == "__main__":
    main(*sys.argv[1:])
