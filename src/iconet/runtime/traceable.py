"""The network as other runtimes get it: two tensors in, any batch, height and width."""

import copy
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

from iconet.network.interpolation import SincInterpolation
from iconet.network.interval import AtPoints, image_and_interval

if TYPE_CHECKING:
    from iconet.network import ICONet

INPUTS = ("image", "intensity")
OUTPUT = "enlarged"
DISTANCES = "distances"

# A size that is no multiple of the network's grid, so that its padding is seen to depend on it.
_EXAMPLE = (torch.zeros(2, 1, 40, 51), torch.ones(2, 1, 1, 1))


class PlainNetwork(nn.Module):
    """``enlarged = network(image, intensity)``.

    The intensity is an input because it belongs to the whole slice, of which a tile knows a part;
    see :func:`iconet.intensity.levels_of_slice`.

    Args:
        network: Of magnitude images; it is not changed.
        shifted: Interpolate by :class:`ShiftedSinc`.
    """

    def __init__(self, network: "ICONet", *, shifted: bool = False) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
        for stage in self.network.stages if shifted else ():
            stage.interpolate = ShiftedSinc()

    def forward(self, image: Tensor, intensity: Tensor) -> Tensor:
        """Map (B, 1, H, W) and (B, 1, 1, 1) to (B, 1, scale * H, scale * W), all float32.

        Of a network with a head for intervals, (B, 3, ...): its distances follow.
        """
        return image_and_interval(self.network(image, intensity))


class WithDistancesApart(PlainNetwork):
    """``enlarged, distances = network(image, intensity)``, of a network with distances at points.

    See `iconet.network.interval.AtPoints`.
    """

    def forward(self, image: Tensor, intensity: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """As of `PlainNetwork`, but that the distances are no channels of the image."""
        output = self.network(image, intensity)
        distances = output.stages[-1].interval
        assert distances is not None
        return output.image, distances


class ShiftedSinc(SincInterpolation):
    """The same interpolation as sums of shifted images.

    A runtime that rounds what convolutions get to bfloat16 would round the image with it, to 8
    bits. Sums it leaves in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        # Taken out here: tracing warns of a tensor that becomes numbers.
        self.numbers: list[list[float]] = self.taps.tolist()

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) float32 to (B, c, 2H, 2W)."""
        padded = F.pad(image, (self.REACH,) * 4, mode="replicate")
        rows = [self._sum(padded, taps, 2) for taps in self.numbers]
        both = [self._sum(row, taps, 3) for row in rows for taps in self.numbers]
        return F.pixel_shuffle(torch.stack(both, dim=2).flatten(1, 2), 2)

    def _sum(self, image: Tensor, taps: list[float], axis: int) -> Tensor:
        last = len(taps) - 1
        total = torch.zeros(())
        for index, tap in enumerate(taps):
            window = slice(index, index - last if index < last else None)
            total = total + tap * (image[:, :, window] if axis == 2 else image[..., window])
        return total


def for_runtimes(network: "ICONet", *, shifted: bool = False) -> PlainNetwork:
    """What runtimes other than torch run."""
    apart = isinstance(network.interval_head, AtPoints)
    return (WithDistancesApart if apart else PlainNetwork)(network, shifted=shifted)


def trace(network: PlainNetwork) -> torch.jit.ScriptModule:
    """As TorchScript, which OpenVINO and the ONNX exporter read too."""
    with torch.no_grad(), _quiet():
        traced: torch.jit.ScriptModule = torch.jit.trace(network, _EXAMPLE, check_trace=False)
    return traced


def as_program(network: PlainNetwork) -> ExportedProgram:
    """As what ``torch.export`` makes."""
    from torch.fx.experimental import _config as fx_config

    batch = Dim.DYNAMIC
    dynamic = {"image": {0: batch, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}, "intensity": {0: batch}}
    # Otherwise the example's own size decides whether rows of a cut image lie side by side in
    # memory, and other sizes are refused for it.
    size_oblivious = fx_config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    with torch.no_grad(), _quiet(), size_oblivious:
        return torch.export.export(network, _EXAMPLE, dynamic_shapes=dynamic, strict=False)


def as_onnx(network: PlainNetwork) -> bytes:
    """As ONNX, by PyTorch's TorchScript-based exporter.

    The one on ``torch.export`` gives the same numbers and takes ten times as long, too much for
    ``iconet upscale --backend onnxruntime``, which does this every time.
    """
    file = io.BytesIO()
    names = {0: "batch", 2: "height", 3: "width"}
    outputs = [OUTPUT, DISTANCES] if isinstance(network, WithDistancesApart) else [OUTPUT]
    with torch.no_grad(), _quiet():
        torch.onnx.export(
            network,
            _EXAMPLE,
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=17,
            input_names=list(INPUTS),
            output_names=outputs,
            dynamic_axes={
                "image": names,
                "intensity": {0: "batch"},
                **{name: {0: "batch", 2: f"{name}_height", 3: f"{name}_width"} for name in outputs},
            },
        )
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what tracing has to say of TorchScript's age and of the checks of sizes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
