"""Other runtimes than PyTorch: imported where they are installed, without their telemetry."""

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from iconet.errors import InputError
from iconet.extras import remedy

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet


class Answer(NamedTuple):
    """What a network makes of slices, float32 on the CPU.

    Attributes:
        image: (B, 1, scale * H, scale * W).
        distances: (B, 2, h, w) at points, see `iconet.network.interval.AtPoints`; None of networks
            without a head for intervals.
    """

    image: "Tensor"
    distances: "Tensor | None" = None

    def each(self, change: "Callable[[Tensor], Tensor]") -> "Answer":
        """Both changed alike."""
        return Answer(
            change(self.image), None if self.distances is None else change(self.distances)
        )

    def plus(self, other: "Answer") -> "Answer":
        """The sum of both, of one kind."""
        distances = None
        if self.distances is not None and other.distances is not None:
            distances = self.distances + other.distances
        return Answer(self.image + other.image, distances)


Predict = Callable[..., Answer]
"""Of slices (B, 1, H, W) and intensities (B, 1, 1, 1).

In torch the strengths of the whole slice may follow, see `iconet.network.ICONet.forward`.
"""


def installed(name: str) -> bool:
    """Whether a runtime can be imported."""
    return importlib.util.find_spec(name) is not None


def import_openvino() -> ModuleType:
    """OpenVINO, which does not send home that it was imported.

    Raises:
        InputError: If it is not installed.
    """
    require("openvino")
    # Its converter reports every import to a web service by this package and does without it.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime without its events.

    Raises:
        InputError: If it or ``onnx`` is not installed.
    """
    require("onnx")
    require("onnxruntime")
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def require(name: str) -> None:
    """Say in one line what to install.

    Raises:
        InputError: If it is not there.
    """
    if not installed(name):
        raise InputError(remedy(name))


@cache
def openvino_core() -> Any:
    """The one ``openvino.Core`` of this process, never let go.

    On processors with AMX every Core gives its thread a stack for signals, and takes it away when
    it is deleted, even if the thread has come to use that of another: the next signal, such as
    Ctrl-C, would then end the process (OpenVINO 2026.4).

    Two threads that are the first to exchange an array with OpenVINO at the same time can wait for
    each other for ever, one in the lock of a C++ static, the other for Python's. So one goes first.
    """
    import numpy as np

    openvino = import_openvino()
    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino.Core()


def openvino_model(network: "ICONet") -> Any:
    """The network as an ``openvino.Model``."""
    openvino = import_openvino()
    from iconet.runtime.traceable import DISTANCES, INPUTS, OUTPUT, for_runtimes, trace

    shapes = [openvino.PartialShape([-1, 1, -1, -1]), openvino.PartialShape([-1, 1, 1, 1])]
    model = openvino.convert_model(
        trace(for_runtimes(network, shifted=True)),
        input=[(shape, openvino.Type.f32) for shape in shapes],
    )
    names = (*INPUTS, OUTPUT, DISTANCES)[: len(model.inputs) + len(model.outputs)]
    for port, name in zip((*model.inputs, *model.outputs), names, strict=True):
        port.get_tensor().set_names({name})
    return model


def run_openvino(model: Any, *, precision: str, threads: int, streams: int = 1) -> Predict:
    """The network in OpenVINO on the CPU.

    Args:
        model: What `openvino_model` made.
        precision: "fp32", or "bf16" for convolutions; images stay float32.
        threads: Of the CPU, which the streams share.
        streams: How many calls, from as many threads, are worked on at the same time.
    """
    import torch

    options = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        # Pinned, two streams, or two programs, can be given the same core: half the speed.
        "ENABLE_CPU_PINNING": False,
    }
    compiled = openvino_core().compile_model(model, "CPU", options)
    idle: SimpleQueue[Any] = SimpleQueue()

    def run(slices: "Tensor", intensity: "Tensor") -> Answer:
        try:
            request = idle.get_nowait()
        except Empty:
            request = compiled.create_infer_request()
        # Copies: the request writes its next results to the same places.
        found = request.infer([slices.numpy(), intensity.numpy()], share_outputs=False)
        idle.put(request)
        return Answer(*(torch.from_numpy(found[port]) for port in compiled.outputs))

    return run


def run_onnxruntime(network: "ICONet", *, threads: int) -> Predict:
    """The network in ONNX Runtime on the CPU, float32.

    Args:
        network: Of magnitude images.
        threads: Of the CPU.
    """
    import torch

    onnxruntime = import_onnxruntime()
    from iconet.runtime.traceable import INPUTS, as_onnx, for_runtimes

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        as_onnx(for_runtimes(network)), options, providers=["CPUExecutionProvider"]
    )

    def run(slices: "Tensor", intensity: "Tensor") -> Answer:
        arrays = (slices.numpy(), intensity.numpy())
        found = session.run(None, dict(zip(INPUTS, arrays, strict=True)))
        return Answer(*map(torch.from_numpy, found))

    return run
