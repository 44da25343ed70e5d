"""The network in the runtime that was chosen, made ready once."""

import weakref
from typing import TYPE_CHECKING

from iconet.export.runtimes import Run, run_onnxruntime, run_openvino
from iconet.upscaling.device import Compute

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet

# By network and precision. Nothing is kept on disk: making it takes about two seconds.
_ready: "weakref.WeakKeyDictionary[ICONet, dict[Compute, Run]]" = weakref.WeakKeyDictionary()


def prepare(model: "ICONet", compute: Compute) -> Run:
    """What maps slices (B, 1, H, W) and intensities (B, 1, 1, 1) to enlarged slices.

    Args:
        model: in evaluation mode, on `compute.device`. Its weights must stay as they are.
        compute: other modules than ICONet run in torch whatever it says.
    """
    from iconet.network import ICONet

    if compute.backend == "torch" or not isinstance(model, ICONet):
        return _eager(model, compute)
    known = _ready.setdefault(model, {})
    if compute not in known:
        import torch

        threads = torch.get_num_threads()
        with torch.inference_mode(False):  # whose tensors cannot be exported
            known[compute] = (
                run_openvino(model, precision=compute.precision, threads=threads)
                if compute.backend == "openvino"
                else run_onnxruntime(model, threads=threads)
            )
    return known[compute]


def _eager(model: "ICONet", compute: Compute) -> Run:
    import torch

    def run(slices: "Tensor", intensity: "Tensor") -> "Tensor":
        slices = slices.to(compute.device).contiguous(memory_format=torch.channels_last)
        with compute.autocast():
            image = model(slices, intensity=intensity.to(compute.device)).image
        return image.float().cpu()

    return run
