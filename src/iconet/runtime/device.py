"""Where the network runs, in which precision, and by which runtime."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iconet.errors import InputError
from iconet.runtime.hardware import has_fast_bf16

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16")
BACKENDS = ("auto", "torch", "openvino", "onnxruntime")


@dataclass(frozen=True)
class Compute:
    """A device, the precision of the convolutions on it (images stay float32), and a runtime."""

    device: "torch.device"
    precision: str
    backend: str = "torch"

    def autocast(self) -> AbstractContextManager:
        """The context in which the network runs."""
        if self.precision == "fp32":
            return nullcontext()
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def __str__(self) -> str:
        runtime = "" if self.backend == "torch" else f", {self.backend}"
        return f"{self.device}, {self.precision}{runtime}"


def choose_compute(
    device: str = "auto", precision: str = "auto", backend: str = "torch"
) -> Compute:
    """Choose the device, the precision and the runtime.

    Args:
        device: "auto" (a CUDA GPU, else an Apple GPU, else the CPU) or a name that torch knows,
            such as "cpu", "cuda" or "cuda:1".
        precision: "fp32", "bf16", or "auto": bf16 where the hardware computes faster in it.
        backend: "torch", "openvino", "onnxruntime", or "auto": OpenVINO on a CPU where it is
            installed (the fastest there, docs/export.md), else torch.

    Raises:
        InputError: the device does not exist here, the precision or the backend has another name,
            or they do not go together.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend '{backend}': use one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision '{precision}': use one of {', '.join(PRECISIONS)}")
    where = _device("cpu" if device == "auto" and backend in BACKENDS[2:] else device)
    backend = _backend(backend, where)
    if backend == "onnxruntime" and precision == "bf16":
        raise InputError("onnxruntime computes in fp32 on a CPU: use --precision fp32 or openvino")
    if precision == "auto":
        precision = "bf16" if backend != "onnxruntime" and has_fast_bf16(where) else "fp32"
    return Compute(where, precision, backend)


def _backend(name: str, device: "torch.device") -> str:
    from iconet.runtime.runtimes import import_onnxruntime, import_openvino, installed

    if name == "auto":
        return "openvino" if device.type == "cpu" and installed("openvino") else "torch"
    if name != "torch" and device.type != "cpu":
        raise InputError(f"{name} runs on the CPU here: use --device cpu or --backend torch")
    if name == "openvino":
        import_openvino()
    if name == "onnxruntime":
        import_onnxruntime()
    return name


def _device(name: str) -> "torch.device":
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device '{name}': use auto, cpu, cuda or mps") from None
    available = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(device.type, False):
        raise InputError(f"device '{name}' is not available on this machine: use auto or cpu")
    return device
