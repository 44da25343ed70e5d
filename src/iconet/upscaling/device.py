"""Where the network runs, and in which precision."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iconet.errors import InputError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Compute:
    """A device and the precision of the convolutions on it (sums and images stay float32)."""

    device: "torch.device"
    precision: str

    def autocast(self) -> AbstractContextManager:
        """The context in which the network runs."""
        if self.precision == "fp32":
            return nullcontext()
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}"


def choose_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """Choose the device and the precision.

    Args:
        device: "auto" (a CUDA GPU, else an Apple GPU, else the CPU) or a name that torch knows,
            such as "cpu", "cuda" or "cuda:1".
        precision: "fp32", "bf16", or "auto": bf16 where the hardware has matrix units for it.

    Raises:
        InputError: the device does not exist here, or the precision has another name.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision '{precision}': use one of {', '.join(PRECISIONS)}")
    where = _device(device)
    if precision == "auto":
        precision = "bf16" if _has_fast_bf16(where) else "fp32"
    return Compute(where, precision)


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


def _has_fast_bf16(device: "torch.device") -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Without AMX tiles bf16 is emulated or no faster than float32, only less exact.
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return False
