"""Where the time of one slice goes, by kind of operation, in PyTorch and OpenVINO on a CPU.

    python benchmarks/where_time_goes.py [SIZE] [SIDE]

Prints Markdown: shares of the sum over operations, one thread, bf16, from torch.profiler and from
OpenVINO's counters of its layers. OpenVINO fuses sums and activations into its convolutions.
"""

import sys
from collections import Counter

import torch
from torch.profiler import ProfilerActivity, profile

from iconet.network import SIZES, ICONet
from iconet.runtime.allocator import keep_freed_blocks
from iconet.runtime.runtimes import openvino_core, openvino_model

CALLS = 5
GRIDS = {1: "full grid", 2: "half grid", 4: "quarter grid"}
MOVES = {"aten::copy_", "aten::_to_copy", "aten::clone", "aten::contiguous", "Reorder", "Convert"}
INTERPOLATION = {"aten::upsample_bilinear2d", "Interpolate"}


def kind(operation: str, side: int, rows: int | None) -> str:
    if "conv" in operation.lower() and operation != "Convert":
        return f"convolutions, {GRIDS.get(side // rows if rows else 0, 'other')}"
    if operation in INTERPOLATION:
        return "bilinear interpolation of features"
    if operation in MOVES:
        return "conversion of type and layout, copies"
    return "element by element, and the rest"


def in_torch(network: ICONet, side: int) -> Counter[str]:
    network = network.to(memory_format=torch.channels_last)
    image, one = torch.rand(1, 1, side, side), torch.ones(1, 1, 1, 1)
    times: Counter[str] = Counter()
    with torch.inference_mode(), torch.autocast("cpu"):
        network(image, one)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
            for _ in range(CALLS):
                network(image, one)
    for event in recorded.key_averages(group_by_input_shape=True):
        shape = event.input_shapes[0] if event.input_shapes else []
        rows = _rows(event.input_shapes) if len(shape) == 4 else None
        times[kind(event.key, side, rows)] += event.self_cpu_time_total / 1e3 / CALLS
    return times


def _rows(shapes: list[list[int]]) -> int:
    """Rows of what a convolution writes: those it reads, but for the folding ones of stride > 1."""
    weight = shapes[1] if len(shapes) > 1 else []
    size = weight[2] if len(weight) == 4 else 1
    return shapes[0][2] // (size if size in (2, 4) else 1)


def in_openvino(network: ICONet, side: int) -> Counter[str]:
    model = openvino_model(network)
    model.reshape({"image": [1, 1, side, side], "intensity": [1, 1, 1, 1]})
    options = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": 1,
        "PERF_COUNT": True,
    }
    compiled = openvino_core().compile_model(model, "CPU", options)
    written = {
        node.get_friendly_name(): node.output(0).shape
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_output_size()
    }
    request = compiled.create_infer_request()
    arrays = [torch.rand(1, 1, side, side).numpy(), torch.ones(1, 1, 1, 1).numpy()]
    request.infer(arrays)
    times: Counter[str] = Counter()
    for _ in range(CALLS):
        request.infer(arrays)
        for layer in request.profiling_info:
            shape = written.get(layer.node_name, ())
            rows = shape[2] if len(shape) == 4 else None
            times[kind(layer.node_type, side, rows)] += (
                1e3 * layer.real_time.total_seconds() / CALLS
            )
    return times


def main(size: str = "base", side: str = "256") -> None:
    keep_freed_blocks()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = ICONet(2, **SIZES[size]).eval().requires_grad_(False)
    columns = [in_torch(network, int(side)), in_openvino(network, int(side))]
    print("| kind | torch bf16, ms | share | OpenVINO bf16, ms | share |\n|---|--:|--:|--:|--:|")
    totals = [sum(column.values()) for column in columns]
    for name in sorted(set().union(*columns), key=lambda name: -columns[0][name]):
        cells = (
            f" {column[name]:.1f} | {column[name] / total:.0%} |"
            for column, total in zip(columns, totals, strict=True)
        )
        print(f"| {name} |{''.join(cells)}")
    print(f"| all | {totals[0]:.1f} | | {totals[1]:.1f} | |")


if __name__ == "__main__":
    main(*sys.argv[1:])
