"""The machine: what its processor is called, and in which precision a device is fastest."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """What the maker calls the processor, or its architecture where the system does not say.

    Virtual machines often hide the model: two generations that are both "AMD EPYC" may differ by a
    factor of two. Then family and model, which tell them apart, are added.
    """
    fields: dict[str, str] = {}
    for line in CPUINFO.read_text().splitlines() if CPUINFO.exists() else ():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name")
    if not name:
        return platform.processor() or platform.machine()
    if any(map(str.isdigit, name)) or not {"cpu family", "model"} <= fields.keys():
        return name
    return f"{name} (family {fields['cpu family']}, model {fields['model']})"


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
