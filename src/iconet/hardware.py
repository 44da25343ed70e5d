"""The machine: what its processor is called, and in which precision a device is fastest."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def processor_name() -> str:
    """What the maker calls the processor, or its architecture where the system does not say."""
    information = Path("/proc/cpuinfo")
    for line in information.read_text().splitlines() if information.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def has_fast_bf16(device: "torch.device") -> bool:
    """Whether bf16 takes the device less time than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Tiles (AMX) or pairs of products (AVX-512, half of float32's time: docs/performance.md);
        # elsewhere it is emulated, no faster than float32 and less exact.
        can = torch.cpu.get_capabilities()
        return bool(can.get("amx_bf16", False) or can.get("avx512_bf16", False))
    return False
