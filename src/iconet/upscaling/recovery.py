"""Slices as they were acquired: on the acquired matrix, without the console's window.

Most consoles zero-fill k-space before they store an image, and window it. Networks know images
whose spectrum ends at Nyquist; of others they sharpen what is sharp already.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.dicom.source_header import acquisition_matrix
from iconet.runtime.threads import workers
from iconet.upscaling.fidelity import is_constant
from iconet.upscaling.options import Options
from iconet.upscaling.regrid import as_stack

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.physics.acquired import Acquired

SMALLEST = 8
"""Rows or columns of an acquired matrix, at least."""


@dataclass(frozen=True)
class Recovery:
    """How the slices of a plane are brought to what was acquired.

    Attributes:
        across: the axis across the slices.
        stored: rows and columns of the slices.
        found: what they hold of k-space.
        periodic: whether they go on at one side as they end at the other.
    """

    across: int
    stored: tuple[int, int]
    found: "Acquired"
    periodic: bool = True

    def share(self, axis: int) -> float:
        """Acquired over stored voxels along an axis of the volume."""
        if axis == self.across:
            return 1.0
        index = axis - (axis > self.across)
        return self.found.matrix[index] / self.stored[index]

    @property
    def window(self) -> str | None:
        """The window that is undone; None for none."""
        window = self.found.window
        return None if window is None or window.name == "none" else str(window)

    def __str__(self) -> str:
        """For people."""
        parts, remedies = [], []
        if self.zero_filled:
            acquired, stored = (
                " x ".join(map(str, size)) for size in (self.found.matrix, self.stored)
            )
            parts.append(f"acquired {acquired} of {stored}")
            remedies.append("--acquired off")
        if self.window is not None:
            parts.append(f"with a {self.window} window over k-space")
            remedies.append("--window none")
        verb = " and ".join(remedies)
        return f"{' '.join(parts)}: enlarged from what was acquired ({verb} to take it as it is)"

    def summary(self) -> dict[str, Any]:
        """For a report: what JSON can hold."""
        return {
            "matrix": list(self.found.matrix),
            "stored": list(self.stored),
            "window": self.window,
        }

    @property
    def zero_filled(self) -> bool:
        """Whether slices are stored on a larger matrix than was acquired."""
        return self.found.matrix != self.stored

    def recover(self, volume: NDArray, out: NDArray) -> None:
        """Bring the slices of a volume to what was acquired.

        Args:
            volume: (I, J) or (I, J, K), real and finite.
            out: float32, with the acquired matrix in the plane, written into. No voxel is less
                than the least of its slice.
        """
        pairs = zip(as_stack(volume, self.across), as_stack(out, self.across), strict=True)
        with workers() as pool:
            for _ in pool.map(lambda pair: self._recover_slice(*pair), pairs):
                pass

    def _recover_slice(self, image: NDArray, out: NDArray) -> None:
        import torch

        from iconet.physics.acquired import recover, signed

        if is_constant(image):
            out[...] = image.flat[0]
            return
        dark = np.float32(image.min())
        bright = torch.from_numpy(np.ascontiguousarray(image, np.float32) - dark)
        if self.periodic and self.zero_filled:
            bright = signed(bright, self.found.matrix)
        recovered = recover(bright, self.found, periodic=self.periodic).clamp(min=0)
        np.add(recovered.numpy(), dark, out=out)

    def acquire(self, image: NDArray) -> NDArray[np.float32]:
        """Give slices the band and the window again that they were acquired with.

        Args:
            image: (H, W) or a volume, on the stored grid.
        """
        import torch

        stack = as_stack(np.asarray(image, np.float32), self.across)
        spectrum = torch.fft.rfft2(torch.from_numpy(np.ascontiguousarray(stack)))
        spectrum *= self._gain[:, : spectrum.shape[-1]]
        found = torch.fft.irfft2(spectrum, s=stack.shape[-2:]).numpy()
        return found[0] if image.ndim == 2 else np.moveaxis(found, 0, self.across)

    @cached_property
    def _gain(self) -> "Tensor":
        """Of the stored spectrum, (rows, columns)."""
        import torch

        from iconet.physics.window import gain_at

        distances = [
            2 * np.abs(np.fft.fftfreq(stored)) * stored / acquired
            for stored, acquired in zip(self.stored, self.found.matrix, strict=True)
        ]
        y, x = distances[0][:, None], distances[1]
        gain = gain_at(self.found.window if self.window else None, y, x) * ((y <= 1) & (x <= 1))
        return torch.from_numpy(gain).float()


def find_recovery(scan: Scan, across: int, options: Options, *, kspace: bool) -> Recovery | None:
    """Find what was acquired, from the spectrum and the DICOM header, or take what was given.

    Args:
        scan: as read; of a series the first volume is looked at.
        across: the axis across the slices.
        options: of which the matrix and the window count.
        kspace: whether it was acquired in k-space, as MRI is. Otherwise only what was given counts.

    Returns:
        None where slices are to be taken as they are.

    Raises:
        InputError: the given matrix is larger than the slices, or hardly one.
    """
    from iconet.physics.acquired import Acquired, acquired, is_periodic
    from iconet.physics.window import window_named

    stack = as_stack(scan.first_volume, across)
    stored = int(stack.shape[1]), int(stack.shape[2])
    matrix, window = options.matrix, options.window
    if matrix is not None and not all(
        SMALLEST <= acquired <= size for acquired, size in zip(matrix, stored, strict=True)
    ):
        raise InputError(
            f"{scan.name}: acquired {options.acquired} of {stored[0]}x{stored[1]}: give at least"
            f" {SMALLEST} and at most the slices' own size"
        )
    off = options.acquired == "off"
    if options.as_stored or not (kspace or options.names_acquisition):
        return None
    nominal = matrix or (stored if off else _nominal(scan, across))
    stack = finite(stack)
    with workers(1) as alone:
        found = alone.submit(acquired, stack, nominal=nominal, window=window).result()
    if off or matrix:
        found = found._replace(matrix=matrix or stored)
    if not kspace:  # nothing is guessed
        found = Acquired(matrix or stored, None if window == "auto" else window_named(window))
    recovery = Recovery(across, stored, found)
    if found.matrix == stored and recovery.window is None:
        return None
    with workers(1) as alone:
        return replace(recovery, periodic=alone.submit(is_periodic, stack, found).result())


def _nominal(scan: Scan, across: int) -> tuple[int, int] | None:
    """The acquisition matrix that a DICOM header names, if the plane is that of its slices."""
    if not scan.dicom or across != 2:
        return None
    return acquisition_matrix(scan.dicom[0])


def finite(stack: NDArray) -> NDArray[np.float32]:
    """A stack of slices without NaN, in single precision."""
    if np.isnan(stack.min()):
        return np.nan_to_num(stack, nan=float(np.nanmin(stack)))
    return stack
