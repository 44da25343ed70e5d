"""The network in the runtime that was chosen, made ready once."""

import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.runtime.cache import cached_openvino_model
from iconet.runtime.device import Compute
from iconet.runtime.runtimes import Answer, Predict, run_onnxruntime, run_openvino
from iconet.runtime.threads import cores

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet
    from iconet.peers import Peer

# By network; then by precision and workers.
_ready: "weakref.WeakKeyDictionary[ICONet, dict[tuple[Compute, int], Predict]]" = (
    weakref.WeakKeyDictionary()
)
_converted: "weakref.WeakKeyDictionary[ICONet, Any]" = weakref.WeakKeyDictionary()
_one_at_a_time = threading.RLock()


def backend_for(model: object, asked: str) -> str:
    """The backend that was asked for; torch for a network of the user, which no other takes.

    Args:
        model: What `iconet.zoo.model.open_model` takes.
        asked: One of `iconet.runtime.device.BACKENDS`.

    Raises:
        InputError: If another one was asked for by name.
    """
    if isinstance(model, str | os.PathLike) and "@" in (name := os.fspath(model)):
        from iconet.peers.own import is_own

        if is_own(name.partition("@")[0]):
            if asked not in ("auto", "torch"):
                raise InputError(f"{name}: a network of your own runs in torch; omit --backend")
            return "torch"
    return asked


def prepare(model: "ICONet | Peer", compute: Compute, workers: int = 1) -> Predict:
    """What maps slices (B, 1, H, W) and intensities (B, 1, 1, 1) to enlarged slices.

    Args:
        model: in evaluation mode, on `compute.device`. Its weights must stay as they are.
        compute: other modules than ICONet run in torch whatever it says.
        workers: how many threads will call it at the same time; on a CPU they share its cores.
            In torch each of them sets its number of threads itself.
    """
    from iconet.network import ICONet

    if compute.backend == "torch" or not isinstance(model, ICONet):
        return _eager(_at_points(model) if isinstance(model, ICONet) else model, compute)
    import torch

    with _one_at_a_time, torch.inference_mode(False):  # whose tensors cannot be exported
        known = _ready.setdefault(model, {})
        key = compute, workers
        if key not in known:
            threads = cores()
            known[key] = (
                run_openvino(
                    _convert(model), precision=compute.precision, threads=threads, streams=workers
                )
                if compute.backend == "openvino"
                else run_onnxruntime(_at_points(model), threads=max(1, threads // workers))
            )
        return known[key]


def prepare_ahead(model: "ICONet | Peer", compute: Compute, workers: int | None = None) -> None:
    """Begin in the background what takes long, if anything does.

    Args:
        model: as of `prepare`, like the next one.
        compute: see there.
        workers: likewise; None while the scan is not known, on which they depend.
    """
    from iconet.network import ICONet

    if compute.backend == "openvino" and isinstance(model, ICONet):

        def begin() -> None:
            with suppress(Exception):  # `prepare` meets it again, where it can be dealt with
                if workers is None:
                    _convert(model)
                else:
                    prepare(model, compute, workers)

        threading.Thread(target=begin, name="iconet-prepare").start()


def _convert(model: "ICONet") -> Any:
    import torch

    with _one_at_a_time:
        if model not in _converted:
            with torch.inference_mode(False):
                _converted[model] = cached_openvino_model(_at_points(model))
        return _converted[model]


def _at_points(model: "ICONet") -> "ICONet":
    """With its head, if it has one, leaving its distances at points."""
    from iconet.network.interval import AtPoints, IntervalHead

    head = model.interval_head
    return model.with_head(AtPoints(head)) if isinstance(head, IntervalHead) else model


def _eager(model: "ICONet | Peer", compute: Compute) -> Predict:
    import torch

    from iconet.network.interval import interval_of

    def answer(slices: "Tensor", intensity: "Tensor", told: "tuple[Tensor, ...]") -> Answer:
        with compute.autocast():
            output = model(
                slices.contiguous(memory_format=torch.channels_last),
                intensity=intensity,
                **_told(told, compute),
            )
        return Answer(output.image, interval_of(output))

    def run(slices: "Tensor", intensity: "Tensor", *told: "Tensor") -> Answer:
        found = answer(slices.to(compute.device), intensity.to(compute.device), told)
        return found.each(lambda tensor: tensor.float().cpu())

    def run_on_cuda(slices: "Tensor", intensity: "Tensor", *told: "Tensor") -> Answer:
        # Nothing here waits for the GPU before the result does, and that without Python's lock: the
        # next thread queues its batch meanwhile. Only copies from and to pinned memory do not wait.
        given = slices.pin_memory().to(compute.device, non_blocking=True)
        scale = intensity.pin_memory().to(compute.device, non_blocking=True)
        found = answer(given, scale, told)
        kept = found.each(_pinned)
        finished = torch.cuda.Event(blocking=True)
        finished.record(torch.cuda.current_stream(compute.device))
        finished.synchronize()
        return kept

    return run_on_cuda if compute.device.type == "cuda" else run


def _pinned(tensor: "Tensor") -> "Tensor":
    """On its way to memory that a GPU copies to by itself."""
    import torch

    kept = torch.empty(tensor.shape, dtype=torch.float32, pin_memory=True)
    return kept.copy_(tensor, non_blocking=True)


def _told(strengths: "tuple[Tensor, ...]", compute: Compute) -> dict[str, "Tensor"]:
    """What networks are told of a whole slice, of which they get a tile."""
    return {"strengths": strengths[0].to(compute.device)} if strengths else {}
