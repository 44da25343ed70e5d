"""How slices are cut into windows, and how many of these go through the network together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from iconet.errors import InputError
from iconet.runtime.threads import cores
from iconet.upscaling.background import Frame
from iconet.zoo.model import SMALLEST

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.peers import Peer

BATCH_PIXELS = {"cpu": 256 * 256, "mps": 8 * 256 * 256, "cuda": 16 * 256 * 256}
"""Input pixels that go through the network together: more is no faster, only bigger."""

WORKERS = {"mps": 1, "cuda": 3}
"""Batches at work: one on the GPU, one that waits, one that is written. On a CPU by its cores."""

WORKING_SET = 4e9
"""Bytes the network may use at a time: larger slices are cut into tiles."""

SMALLEST_TILE = 64
"""Side below which tiles would be hardly more than their context."""

Window = tuple[tuple[slice, slice], tuple[slice, slice], tuple[slice, slice]]
"""What a tile reads of the slice, keeps of its prediction, and writes of the output."""


class WindowPlan(NamedTuple):
    """How a slice is cut and how much goes through the network together.

    Attributes:
        side: of a tile without its context, in input pixels.
        batch: windows that go through the network together.
        workers: batches that are at work at the same time.
        memory: bytes the network needs for all of them.
    """

    side: int
    batch: int
    workers: int
    memory: int

    def workers_for(self, slices: int, windows: int) -> int:
        """Workers for so many slices of so many windows each: a single window gets all cores."""
        return self.workers if -(-slices // self.batch) * windows > 1 else 1


def plan_windows(
    network: "ICONet | Peer",
    height: int,
    width: int,
    *,
    device: str,
    batch: int | None = None,
    tile: int | None = None,
) -> WindowPlan:
    """Decide how slices of (height, width) go through the network.

    Args:
        network: whose width, scale, grid and halo count.
        height: of the slices, in pixels.
        width: of the slices.
        device: its type, such as "cpu" or "cuda".
        batch: windows that go through the network together, if the user says so.
        tile: side of a tile without its context, likewise.

    Raises:
        InputError: `batch` or `tile` is not positive.
    """
    for name, value in (("batch", batch), ("tile", tile)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    # Measured on a CPU in float32, for all sizes and scales: 38 to 69 bytes for each channel and
    # pixel of the last stage's input. bf16 needs about half.
    per_pixel = 72 * network.width * (network.scale / 2) ** 2
    side = tile
    if side is None:
        side = max(height, width)
        if height * width * per_pixel > WORKING_SET:
            side = max(SMALLEST_TILE, int((WORKING_SET / per_pixel) ** 0.5) - 2 * network.halo)
    area = min(height, side + 2 * network.halo) * min(width, side + 2 * network.halo)
    if batch is None:
        batch = max(1, int(min(BATCH_PIXELS[device], WORKING_SET / per_pixel)) // area)
    memory = int(batch * area * per_pixel)
    if device != "cpu":
        # They take turns on the GPU, and what one has freed there serves the next.
        return WindowPlan(side, batch, WORKERS[device], memory)
    threads = cores()
    each = -(-threads // max(1, int(WORKING_SET // memory)))
    workers = max(1, threads // each)
    return WindowPlan(side, batch, workers, workers * memory)


def count_windows(
    network: "ICONet | Peer",
    shape: tuple[int, ...],
    *,
    device: str,
    batch: int | None = None,
    tile: int | None = None,
) -> int:
    """How many slices or tiles a stack (N, H, W) is; see `plan_windows`."""
    count, height, width = shape
    plan = plan_windows(network, height, width, device=device, batch=batch, tile=tile)
    return count * len(list(tiles((slice(0, height), slice(0, width)), plan.side, network)))


# Own tiles and not MONAI's sliding_window_inference: that one moves the last tile back until it
# fits, so its origin leaves the network's grid of `multiple` pixels, and it blends in predictions
# made near a tile's edge, where the context is missing. A halo as wide as the network sees, cut
# off after the prediction, leaves no seam to blend.
def tiles(frame: Frame, side: int, network: "ICONet | Peer") -> Iterator[Window]:
    """The windows that cover a part of a slice."""
    rows, columns = frame
    for row in _spans(rows.start, rows.stop, side, network):
        for column in _spans(columns.start, columns.stop, side, network):
            yield tuple(zip(row, column, strict=True))  # type: ignore[misc]


def _spans(
    first: int, end: int, side: int, network: "ICONet | Peer"
) -> Iterator[tuple[slice, slice, slice]]:
    """Cut one axis: (read, keep, write) of each tile, with origins on a grid of the network."""
    grid, scale = network.multiple, network.scale
    side = -(-side // grid) * grid
    halo = -(-network.halo // grid) * grid
    for start in range(first, end, side):
        stop = min(start + side, end)
        right = min(stop + halo, end)
        left = max(first, min(start - halo, first + (right - first - SMALLEST) // grid * grid))
        yield (
            slice(left, right),
            slice((start - left) * scale, (stop - left) * scale),
            slice(start * scale, stop * scale),
        )
