"""What networks cost: parameters, multiplications, time and memory, all measured in one process.

Times on shared machines swing by a factor of three within minutes. So everything that is compared
runs in turns, one call each a round, and the median over the rounds is taken.
"""

import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iconet.network import Samples, collaboration_loss
from iconet.network.config import stages_for
from iconet.runtime.device import Compute, choose_compute
from iconet.training.architecture import build
from iconet.training.parts import make_optimizer
from iconet.training.recipe import Recipe
from iconet.training.schedule import shares_of_depths

if TYPE_CHECKING:
    import torch
    from torch import nn

SIDE = 128
"""Side in pixels of the low-resolution slice that costs are stated for."""
ROUNDS = 5


@dataclass(frozen=True)
class Times:
    """Seconds of a call: the median and the quartiles over rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """What one slice of 128 x 128 pixels costs.

    Attributes:
        parameters: Trainable numbers.
        gmacs: Billions of multiply-accumulate operations, half of what `torch.utils.flop_counter`
            counts: convolutions, matrix products and attention, but no Fourier transforms.
        cpu_ms: On one thread, in the precision of the benchmark.
        cpu_ms_low: First quartile.
        cpu_ms_high: Third quartile.
        cpu_mb: Largest sum of tensors alive at a time beside the weights, without what a library
            needs inside an operation.
        gpu_ms: NaN without a GPU.
        gpu_mb: Peak allocation beside the weights; NaN without a GPU.
    """

    parameters: int
    gmacs: float
    cpu_ms: float
    cpu_ms_low: float
    cpu_ms_high: float
    cpu_mb: float
    gpu_ms: float
    gpu_mb: float


def forward_costs(networks: "Mapping[str, nn.Module]", compute: Compute) -> dict[str, Cost]:
    """Costs of applying networks of one scale. Trained or not: weights change no time.

    Args:
        networks: In evaluation mode, by any names.
        compute: Where the benchmark runs; what is said of the CPU is measured in any case.
    """
    import torch

    on_cpu = choose_compute("cpu", compute.precision)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            calls = {name: _applied(network, on_cpu) for name, network in networks.items()}
            counted = {name: _gmacs(call) for name, call in calls.items()}
            memory = {name: _live_megabytes(call) for name, call in calls.items()}
            times = in_turns(calls)
            gpu_times, gpu_memory = {}, {}
            if compute.device.type == "cuda":
                calls = {name: _applied(network, compute) for name, network in networks.items()}
                gpu_memory = {name: _gpu_megabytes(call) for name, call in calls.items()}
                gpu_times = in_turns(calls, rounds=5 * ROUNDS)
    finally:
        torch.set_num_threads(threads)
    unknown = Times(*[float("nan")] * 3)
    return {
        name: Cost(
            parameters=sum(p.numel() for p in network.parameters()),
            gmacs=round(counted[name], 4),
            cpu_ms=round(1000 * times[name].median, 3),
            cpu_ms_low=round(1000 * times[name].low, 3),
            cpu_ms_high=round(1000 * times[name].high, 3),
            cpu_mb=round(memory[name], 2),
            gpu_ms=round(1000 * gpu_times.get(name, unknown).median, 3),
            gpu_mb=round(gpu_memory.get(name, float("nan")), 2),
        )
        for name, network in networks.items()
    }


def step_times(recipes: Mapping[str, Recipe], compute: Compute) -> dict[str, Times]:
    """Seconds of a training step (forward, loss, backward, optimizer) at each recipe's batch.

    Making the batch is left out: it is the same for all networks. Where a cascade grows it is the
    mean over the run.
    """
    shares = {
        name: shares_of_depths(stages_for(recipe.scale), recipe.optimisation.grow)
        for name, recipe in recipes.items()
    }
    taken = in_turns(
        {
            f"{name} {depth}": _step(recipes[name], compute, depth)
            for name, depths in shares.items()
            for depth in depths
        }
    )
    return {
        name: Times(
            *(
                sum(share * getattr(taken[f"{name} {depth}"], part) for depth, share in of.items())
                for part in ("median", "low", "high")
            )
        )
        for name, of in shares.items()
    }


def in_turns(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS
) -> dict[str, Times]:
    """Time calls, one each a round, after a round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number:
                taken[name].append(time.perf_counter() - start)
    return {name: _summary(seconds) for name, seconds in taken.items()}


def _summary(seconds: list[float]) -> Times:
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Times(statistics.median(seconds), low, high)


def _inputs(channels: Any, batch: int, side: int, device: "torch.device") -> tuple[Any, ...]:
    """Noise as input, with samples where images are complex."""
    import torch

    generator = torch.Generator().manual_seed(0)
    low = torch.rand(batch, channels, side, side, generator=generator).to(device)
    low = low.contiguous(memory_format=torch.channels_last)
    intensity = torch.ones(batch, 1, 1, 1, device=device)
    samples = None
    if channels == 2:
        mask = torch.zeros(batch, 1, 1, side, dtype=torch.bool, device=device)
        mask[..., ::4] = True
        samples = Samples(torch.complex(low[:, :1], low[:, 1:]) * mask, mask)
    return low, intensity, samples


def _applied(network: "nn.Module", compute: Compute) -> Callable[[], object]:
    import torch

    inputs = _inputs(network.channels, 1, SIDE, compute.device)
    network = network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def call() -> None:
        with compute.autocast():
            network(*inputs)
        _wait(compute)

    return call


def _step(recipe: Recipe, compute: Compute, depth: int) -> Callable[[], object]:
    import torch

    options, channels = recipe.optimisation, recipe.task.channels
    network = build(recipe.network, recipe.scale, channels)
    network = network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(recipe, network)
    inputs = _inputs(channels, options.batch, options.patch // recipe.scale, compute.device)
    # Peers have no stages, and no such argument.
    part = {"depth": depth} if depth < stages_for(recipe.scale) else {}
    low = inputs[0]
    clean = [low]
    while clean[-1].shape[-1] < options.patch:
        clean.append(clean[-1].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))

    def call() -> None:
        with compute.autocast():
            predicted = network(*inputs, **part)
        loss = collaboration_loss(predicted, clean, **recipe.loss.model_dump())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip)
        optimizer.step()
        _wait(compute)

    return call


def _wait(compute: Compute) -> None:
    if compute.device.type == "cuda":
        import torch

        torch.cuda.synchronize(compute.device)


def _gmacs(call: Callable[[], object]) -> float:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # Fused attention on a CPU is not counted; as matrix products it is.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 2e9


def _gpu_megabytes(call: Callable[[], object]) -> float:
    import torch

    call()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def _live_megabytes(call: Callable[[], object]) -> float:
    """Largest sum of the memory of tensors that the call made and that were alive together."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Tracker(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.alive: dict[int, int] = {}
            self.peak = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            results = func(*args, **(kwargs or {}))
            for result in tree_leaves(results):
                if isinstance(result, torch.Tensor):
                    storage = result.untyped_storage()
                    if storage._cdata not in self.alive:
                        self.alive[storage._cdata] = storage.nbytes()
                        weakref.finalize(storage, self.alive.pop, storage._cdata, None)
            self.peak = max(self.peak, sum(self.alive.values()))
            return results

    with Tracker() as tracker:
        call()
    return tracker.peak / 1e6
