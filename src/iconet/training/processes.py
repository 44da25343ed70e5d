"""One run in several processes, one for each device, on one machine or on several."""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import distributed

from iconet.errors import InputError

# How long processes wait for each other: the first validates alone, and nodes begin one by one.
PATIENCE = timedelta(minutes=30)


class ProcessesLost(Exception):
    """Another process of the run has ended, or its machine does not answer."""


class Launcher(NamedTuple):
    """What started this process, and the others of the run.

    Attributes:
        name: ``torchrun`` or ``srun``.
        nodes: Machines.
        devices: Processes on each.
    """

    name: str
    nodes: int
    devices: int


def launch(
    device: str, devices: int | None, precision: str, *, nodes: int | None, partly: bool = False
) -> Any:
    """Start the processes, or meet those that a launcher started; in each, returns its Fabric.

    Without a launcher the other processes run the same command from its beginning, up to here.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: How many on each node: GPUs, or processes on the CPU. By default as many as the
            launcher started, without one a single one.
        precision: As Fabric names it.
        nodes: How many machines; likewise. Several need a launcher.
        partly: Whether some steps train a part of the network, which must then be looked for.

    Raises:
        InputError: If there are no such devices, the launcher started others, or the processes
            do not find each other.
    """
    launcher = _launcher()
    devices, nodes = _agreed(devices, nodes, launcher)
    _check_present(device, devices, launcher)
    here = lightning().__name__
    environments = import_module(f"{here}.plugins.environments")
    several = import_module(f"{here}.strategies").DDPStrategy(
        find_unused_parameters=partly, timeout=PATIENCE
    )
    fabric = lightning().Fabric(
        accelerator=device,
        devices=devices,
        num_nodes=nodes,
        strategy=several if devices * nodes > 1 else "auto",
        precision=precision,
        # Ours, not a guess: a batch job that does not use srun has Slurm's variables too.
        plugins=[
            environments.TorchElasticEnvironment()
            if launcher
            else environments.LightningEnvironment()
        ],
    )
    try:
        fabric.launch()
    except RuntimeError as error:
        if not _of_an_exchange(error):
            raise
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise InputError(
            f"the {devices * nodes} processes of this run did not meet at {place} "
            f"({_plain(error)}); start one command on every node, and set MASTER_PORT to a free "
            "port that all nodes reach"
        ) from None
    return fabric


def processes_here(fabric: Any) -> int:
    """How many of a run's processes are on this machine."""
    return int(getattr(fabric.strategy, "num_processes", 1))


def lightning() -> Any:
    """Lightning Fabric, alone or as a part of the complete package ``lightning``."""
    try:
        import lightning_fabric
    except ModuleNotFoundError:
        return import_module("lightning.fabric")
    return lightning_fabric


def _launcher() -> Launcher | None:
    """The launcher, if one started this process; srun's variables become torchrun's."""
    given = os.environ
    if "TORCHELASTIC_RUN_ID" in given:
        each = int(given["LOCAL_WORLD_SIZE"])
        return Launcher("torchrun", int(given["WORLD_SIZE"]) // each, each)
    tasks, nodes = (int(given.get(f"SLURM_STEP_NUM_{of}", 1)) for of in ("TASKS", "NODES"))
    if tasks == 1:  # a shell on a node, say, whose commands may start processes themselves
        return None
    if tasks % nodes:
        raise InputError(
            f"srun started {tasks} processes on {nodes} nodes; give --ntasks-per-node, for as many "
            "on each"
        )
    first = import_module(f"{lightning().__name__}.plugins.environments").SLURMEnvironment
    address = first.resolve_root_node_address(given.get("SLURM_STEP_NODELIST", "127.0.0.1"))
    given.setdefault("MASTER_ADDR", address)
    given.setdefault("MASTER_PORT", str(15000 + int(given.get("SLURM_JOB_ID", 0)) % 10000))
    given["RANK"], given["LOCAL_RANK"] = given["SLURM_PROCID"], given["SLURM_LOCALID"]
    given["WORLD_SIZE"], given["GROUP_RANK"] = str(tasks), given["SLURM_NODEID"]
    return Launcher("srun", nodes, tasks // nodes)


def _agreed(devices: int | None, nodes: int | None, launcher: Launcher | None) -> tuple[int, int]:
    """Devices of a node and nodes, by what the user asks for and the launcher did."""
    if launcher is None:
        if nodes is not None and nodes > 1:
            raise InputError(
                f"--nodes {nodes}: start the command on every node by srun or torchrun "
                "(docs/training.md), or leave --nodes out"
            )
        return (1 if devices is None else devices), 1
    name, its_nodes, its_devices = launcher
    if devices not in (None, its_devices) or nodes not in (None, its_nodes):
        raise InputError(
            f"{name} started {its_devices} process(es) on each of {its_nodes} node(s), which is "
            "not what --devices and --nodes say; leave both out, or change them"
        )
    return its_devices, its_nodes


def _check_present(device: str, devices: int, launcher: Launcher | None) -> None:
    present = torch.cuda.device_count() if device != "cpu" else 0
    if devices < 1 or (devices > present and (present or device == "cuda")):
        why = "; let every process see all GPUs of its node (srun --gpus-per-node)"
        raise InputError(
            f"{devices} devices '{device}': this machine has {present} GPU(s)"
            + (why if launcher and present else "")
        )


@contextmanager
def noticed(fabric: Any) -> Iterator[None]:
    """Tells an exchange that failed because others are gone from faults of other kinds.

    Raises:
        ProcessesLost: For the first.
    """
    try:
        yield
    except RuntimeError as error:
        if fabric.world_size == 1 or not _of_an_exchange(error):
            raise
        raise ProcessesLost(_plain(error)) from error


def _of_an_exchange(error: RuntimeError) -> bool:
    """Whether processes could not reach each other; gloo has no error of its own."""
    text = str(error)
    return isinstance(error, distributed.DistError) or "gloo" in text.lower() or "NCCL" in text


def _plain(error: RuntimeError) -> str:
    """What an error of an exchange says, without places in the library's source and advice."""
    return re.sub(r"\[/\S*\] ", "", str(error).splitlines()[0]).partition(". ")[0]


def agree(fabric: Any, problem: InputError | None = None, **seen: str) -> None:
    """All processes begin, or none: where one has a problem, the others would wait for it.

    Args:
        fabric: This process's.
        problem: Why this process cannot begin.
        seen: What all must see alike, by what it is.

    Raises:
        InputError: In all processes, if one cannot begin or sees something else than the first.
    """
    if fabric.world_size == 1:
        if problem:
            raise problem
        return
    found: list[Any] = [None] * fabric.world_size
    mine = (socket.gethostname(), problem and str(problem), seen)
    group = distributed.new_group(backend="gloo", timeout=PATIENCE)
    distributed.all_gather_object(found, mine, group=group)
    if problem:
        raise problem
    for rank, (host, what, _) in enumerate(found):
        if what:
            raise InputError(f"process {rank} on {host}: {what}")
    first_host, _, first = found[0]
    for rank, (host, _, its) in enumerate(found):
        for name, value in _differing(first, its):
            raise InputError(
                f"process {rank} on {host} sees another {name} than the first on {first_host} "
                f"({value}); let all nodes share the folders of the data and of --output"
            )


def _differing(first: Mapping[str, str], other: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in first.items():
        if other[name] != value:
            yield name, f"{other[name]:.40} and {value:.40}"


class Consensus:
    """What all processes of a run must see alike so that they take the same decisions.

    Args:
        processes: How many take part.
    """

    def __init__(self, processes: int) -> None:
        # Not over the GPUs' own connection: that would wait for what they are computing.
        self.group = (
            distributed.new_group(backend="gloo", timeout=PATIENCE) if processes > 1 else None
        )

    def __call__(self, elapsed: float, stop: int) -> tuple[float, int]:
        """The longest time that a process counted, and the signal that any wants to stop by."""
        if self.group is None:
            return elapsed, stop
        both = torch.tensor([elapsed, float(stop)], dtype=torch.float64)
        distributed.all_reduce(both, distributed.ReduceOp.MAX, group=self.group)
        return float(both[0]), int(both[1])
