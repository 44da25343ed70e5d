"""K-space windows: what consoles multiply the acquired band with against Gibbs ringing."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iconet.errors import InputError

Floats = NDArray[np.float64]
Shape = Callable[[Floats], Floats]

# Gain over the radius of k-space, 0 the centre and 1 the edge of the acquired band.
WINDOWS: dict[str, Shape] = {
    "none": lambda x: np.ones_like(x),
    "hamming": lambda x: 0.54 + 0.46 * np.cos(np.pi * x.clip(0, 1)),
    "hann": lambda x: 0.5 + 0.5 * np.cos(np.pi * x.clip(0, 1)),
    "fermi": lambda x: 1 / (1 + np.exp((x - 0.9) / 0.05)),
    "tukey": lambda x: 0.5 + 0.5 * np.cos(np.pi * (2 * x - 1).clip(0, 1)),
}


class Window(NamedTuple):
    """A k-space window: a name in `WINDOWS`, over each axis or over the elliptical radius.

    The radial one ends on the ellipse within the band; "none" and radial is the elliptical
    shutter, which leaves the corners of k-space unmeasured.
    """

    name: str
    radial: bool = False

    def __str__(self) -> str:
        """The word for `window_named`."""
        if self.name == "none":
            return "elliptical" if self.radial else "none"
        return f"radial-{self.name}" if self.radial else self.name


def window_named(name: str) -> Window | None:
    """The window of a user's word: one of `WINDOWS`, "elliptical", or these with "radial-".

    Raises:
        InputError: for any other word.
    """
    word = name.strip().lower()
    if word == "none":
        return None
    if word == "elliptical":
        return Window("none", radial=True)
    window = Window(word.removeprefix("radial-"), word.startswith("radial-"))
    if window.name not in WINDOWS or window.name == "none":
        known = ", ".join([*WINDOWS, "elliptical"])
        raise InputError(f"k-space window {name!r} is not known: choose {known}")
    return window


def gain_at(window: Window | None, y: Floats, x: Floats) -> Floats:
    """Gain of a window, 1 in the middle, in [0, 1].

    Args:
        window: None for none.
        y: distance from the centre of k-space along rows, 1 at the edge of the band.
        x: along columns; broadcast with `y`.
    """
    if window is None:
        return np.ones(np.broadcast_shapes(y.shape, x.shape))
    shape = WINDOWS[window.name]
    if window.radial:
        radius = np.hypot(y, x)
        gain = shape(radius) * (radius <= 1)
    else:
        gain = shape(y) * shape(x)
    return np.asarray(gain / shape(np.zeros(1)) ** (1 if window.radial else 2))


def window_gain(window: Window | None, size: tuple[int, int]) -> Tensor:
    """Gain (H, W) of a window over a band of that size, DC at (H//2, W//2)."""
    y, x = (np.abs(np.arange(n) - n // 2) / (n / 2) for n in size)
    return torch.from_numpy(gain_at(window, y[:, None], x).astype(np.float32))


def apply_window(kspace: Tensor, window: Window | None) -> Tensor:
    """Weighs k-space (..., H, W), DC at (H//2, W//2), which is the whole acquired band."""
    height, width = kspace.shape[-2:]
    return kspace * window_gain(window, (height, width)).to(kspace.device)
