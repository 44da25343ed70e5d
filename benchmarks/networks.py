"""Time and memory of ICONet's sizes beside other networks, growing with the pixels.

    python benchmarks/networks.py [FOLDER] [--networks tiny base ...] [--sides 128 256 ...]

Networks and runtimes take turns, a call each a round, so that a drift of the machine meets all.
Every case (threads, batch, side) is added to FOLDER/networks.csv as soon as it is measured, and
what is there is not measured again: the command goes on where it was stopped, and can be run in
pieces. Then it writes FOLDER/networks.md and two figures from the whole of that table. Run it on an
otherwise idle machine. SwinIR-light needs spandrel; on a GPU only the GPU is measured.
"""

import argparse
import csv
import ctypes
import datetime
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from networks_table import draw, table
from torch import nn

from iconet import peers
from iconet.errors import InputError
from iconet.network import SIZES, ICONet
from iconet.runtime.allocator import keep_freed_blocks
from iconet.runtime.device import choose_compute
from iconet.runtime.hardware import processor_name
from iconet.runtime.runtimes import import_openvino, installed, openvino_core, openvino_model
from iconet.runtime.traceable import PlainNetwork, ShiftedSinc

PEERS = ("edsr-baseline", "rcan", "t2net", "swinir-light")
SLOW = {"swinir-light": 256, "t2net": 512}  # the largest side, no batches: minutes beyond it
UNKNOWN_TO_OPENVINO = {"t2net": "it has no sum of rows by index (_embedding_bag)"}
SIDES = (128, 256, 512, 1024)
KEY = ("machine", "scale", "network", "runtime", "threads", "batch", "side")
VALUES = ("seconds", "low", "high", "processor", "megabytes", "others", "rounds", "date")

Call = Callable[[], object]


def build(name: str, scale: int) -> nn.Module:
    network = ICONet(scale, **SIZES[name]) if name in SIZES else peers.build(name, scale)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def runtimes(name: str, precision: str) -> list[str]:
    if torch.cuda.is_available():
        return ["cuda bf16", "cuda bf16 graph", "cuda bf16 compiled"]
    openvino = installed("openvino") and name not in UNKNOWN_TO_OPENVINO
    return [f"torch {precision}"] + [f"openvino {precision}"] * openvino


def on_torch(network: nn.Module, image: torch.Tensor, precision: str) -> Call:
    one = torch.ones(len(image), 1, 1, 1)

    def call() -> None:
        # Autocast and its cache of weights as in `iconet upscale`.
        with torch.inference_mode(), torch.autocast("cpu", enabled=precision == "bf16"):
            network(image, one)

    return call


def in_openvino(network: nn.Module, image: torch.Tensor) -> object:
    """Every network as an `openvino.Model`, exported in the same way."""
    if isinstance(network, ICONet):
        return openvino_model(network)
    plain = PlainNetwork(network)
    for index in range(len(plain.network.interpolate.twice)):
        plain.network.interpolate.twice[index] = ShiftedSinc()
    # At the size itself, where SwinIR's windows are fixed by it; the others take any.
    example = (image[..., :256, :256], torch.ones(len(image), 1, 1, 1))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(plain, example, check_trace=False)
    return import_openvino().convert_model(traced, input=[[-1, 1, -1, -1], [-1, 1, 1, 1]])


def on_openvino(model: object, image: torch.Tensor, precision: str, threads: int) -> Call:
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    compiled = openvino_core().compile_model(model, "CPU", options)
    arrays = [image.numpy(), torch.ones(len(image), 1, 1, 1).numpy()]
    return lambda: compiled(arrays)


def on_cuda(network: nn.Module, image: torch.Tensor, runtime: str) -> Call:
    network = network.cuda()
    image, one = image.cuda(), torch.ones(len(image), 1, 1, 1, device="cuda")
    if runtime.endswith("compiled"):
        network = torch.compile(network, dynamic=False)

    def plain() -> None:
        # Without the cache: a captured graph must not hold weights of an earlier call.
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            network(image, one)

    run: Call = plain
    if runtime.endswith("graph"):
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(3):
                plain()
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            plain()
        run = graph.replay

    def call() -> None:
        run()
        torch.cuda.synchronize()

    return call


def peak_megabytes(call: Call) -> float:
    """What the first call of a shape takes at most, with all that the runtime needs inside."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what is kept for later calls would not be seen
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _status("VmRSS")
        call()
        return (_status("VmHWM") - before) / 1e3
    call()
    return float("nan")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def processors() -> tuple[float, float]:
    """Seconds that all programs, and that this one, had processors so far."""
    with suppress(OSError):
        fields = [int(v) for v in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle = fields[3] + fields[4]
        return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK"), time.process_time()
    return 0.0, 0.0


def in_turns(calls: dict[tuple[str, str], Call], most: int, limit: float) -> dict:
    """Measure calls that take turns, from 3 to `most` rounds, until the time is over.

    `others` is the share of one processor that other programs had meanwhile: 0 if idle.
    """
    memory = {key: peak_megabytes(call) for key, call in calls.items()}
    start, (total, own) = time.perf_counter(), processors()
    taken: dict = {key: [] for key in calls}
    for number in range(most):
        if number >= 3 and time.perf_counter() - start > limit:
            break
        for key, call in calls.items():
            before = time.perf_counter(), time.process_time()
            call()
            taken[key].append((time.perf_counter() - before[0], time.process_time() - before[1]))
    wall, (total2, own2) = time.perf_counter() - start, processors()
    results = {}
    for key, pairs in taken.items():
        seconds, processor = zip(*pairs, strict=True)
        low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
        results[key] = {
            "seconds": f"{median:.5f}",
            "low": f"{low:.5f}",
            "high": f"{high:.5f}",
            "processor": f"{statistics.median(processor):.5f}",
            "megabytes": f"{memory[key]:.0f}",
            "others": f"{max(0, (total2 - total) - (own2 - own)) / wall:.2f}",
            "rounds": len(pairs),
            "date": datetime.date.today().isoformat(),
        }
    return results


def machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{processor_name()}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/performance"))
    parser.add_argument("--networks", nargs="+", default=[*SIZES, *PEERS])
    parser.add_argument("--sides", nargs="+", type=int, default=SIDES)
    parser.add_argument("--threads", nargs="+", type=int, default=(1, 2))
    parser.add_argument("--batches", nargs="+", type=int, default=(1, 4), help="4: at 128 only")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15, help="at most, a case")
    parser.add_argument("--seconds", type=float, default=20, help="after which a case ends")
    choice = parser.parse_args()

    keep_freed_blocks()
    torch.manual_seed(0)
    cuda, here = torch.cuda.is_available(), machine()
    precision = choose_compute().precision
    networks = {}
    for name in choice.networks:
        try:
            networks[name] = build(name, choice.scale)
        except InputError as error:
            print(f"{name} left out: {error}", file=sys.stderr)
        if name in networks and name in UNKNOWN_TO_OPENVINO and not cuda:
            print(f"{name} without OpenVINO: {UNKNOWN_TO_OPENVINO[name]}", file=sys.stderr)
    choice.folder.mkdir(parents=True, exist_ok=True)
    path = choice.folder / "networks.csv"
    rows = list(csv.DictReader(path.open(newline=""))) if path.exists() else []
    done = {tuple(row[k] for k in KEY) for row in rows}
    for threads in choice.threads[:1] if cuda else choice.threads:
        torch.set_num_threads(threads)
        for side, batch in ((s, b) for s in choice.sides for b in choice.batches):
            image = torch.rand(batch, 1, side, side)
            image = image.contiguous(memory_format=torch.channels_last)
            calls: dict[tuple[str, str], Call] = {}
            for name, network in networks.items():
                for runtime in runtimes(name, precision):
                    key = (here, choice.scale, name, runtime, threads, batch, side)
                    known = tuple(map(str, key)) in done
                    large = name in SLOW and (batch > 1 or side > SLOW[name])
                    if known or large or (batch > 1 and side != 128):
                        continue
                    if cuda:
                        calls[name, runtime] = on_cuda(network, image, runtime)
                    elif runtime.startswith("torch"):
                        calls[name, runtime] = on_torch(network, image, precision)
                    else:
                        model = in_openvino(network, image)
                        calls[name, runtime] = on_openvino(model, image, precision, threads)
            for (name, runtime), values in in_turns(calls, choice.rounds, choice.seconds).items():
                key = (here, choice.scale, name, runtime, threads, batch, side)
                rows.append(dict(zip(KEY, map(str, key), strict=True)) | values)
                print(name, runtime, threads, batch, side, values, flush=True)
            with path.with_suffix(".part").open("w", newline="") as file:
                writer = csv.DictWriter(file, [*KEY, *VALUES])
                writer.writeheader()
                writer.writerows(rows)
            path.with_suffix(".part").replace(path)
    rows = [r for r in rows if (r["machine"], r["scale"]) == (here, str(choice.scale))]
    order = [*SIZES, *PEERS]
    rows.sort(
        key=lambda r: (order.index(r["network"]), r["runtime"], *map(int, (r[k] for k in KEY[4:])))
    )
    where = f"{here}; {choice.scale}x; torch {torch.__version__}"
    text = f"# Networks in turns\n\n{where}\n\n" + table(rows, choice.scale)
    (choice.folder / "networks.md").write_text(text)
    draw(choice.folder / "networks-time.png", rows, per_pixel=False)
    draw(choice.folder / "networks-pixel.png", rows, per_pixel=True)


if __name__ == "__main__":
    main()
