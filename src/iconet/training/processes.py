"""One run in several processes, one for each device."""

from importlib import import_module
from typing import Any

import torch
from torch import distributed

from iconet.errors import InputError


def launch(device: str, devices: int, precision: str, *, partly: bool = False) -> Any:
    """Start the processes; in each, this returns its Lightning Fabric.

    The other processes run the same command from its beginning, up to here.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: How many: GPUs, or processes on the CPU.
        precision: As Fabric names it.
        partly: Whether some steps train a part of the network, which must then be looked for.

    Raises:
        InputError: If there are no such devices.
    """
    present = torch.cuda.device_count() if device != "cpu" else 0
    if devices < 1 or (devices > present and (present or device == "cuda")):
        raise InputError(f"{devices} devices '{device}': this machine has {present} GPU(s)")
    shared = "ddp_find_unused_parameters_true" if partly else "ddp"
    fabric = lightning().Fabric(
        accelerator=device,
        devices=devices,
        strategy=shared if devices > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    return fabric


def lightning() -> Any:
    """Lightning Fabric, alone or as a part of the complete package ``lightning``."""
    try:
        import lightning_fabric
    except ModuleNotFoundError:
        return import_module("lightning.fabric")
    return lightning_fabric


class Consensus:
    """What all processes of a run must see alike so that they take the same decisions.

    Args:
        processes: How many take part.
    """

    def __init__(self, processes: int) -> None:
        # Not over the GPUs' own connection: that would wait for what they are computing.
        self.group = distributed.new_group(backend="gloo") if processes > 1 else None

    def __call__(self, elapsed: float, stop: bool) -> tuple[float, bool]:
        """The longest time that a process counted, and whether any wants to stop."""
        if self.group is None:
            return elapsed, stop
        both = torch.tensor([elapsed, float(stop)], dtype=torch.float64)
        distributed.all_reduce(both, distributed.ReduceOp.MAX, group=self.group)
        return float(both[0]), bool(both[1])
