"""How the slices of a scan lost their resolution, as a network's answers to a few of them tell."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network.description import Way

PROBES = 6
"""Slices that are asked, at most: one alone is often wrong."""


def way_of(told: "Way", probes: "Iterable[tuple[Tensor, Tensor, Tensor]]") -> str | None:
    """The likeliest way.

    Args:
        told: of the network.
        probes: for each slice its strengths (1, n), see `iconet.network.description`, the slice
            (h, w) and the answer (H, W).

    Returns:
        One of `iconet.network.description.WAYS`; None for a crop of k-space, which is most common.
    """
    import torch

    from iconet.network.description import CROP, WAYS, evidence
    from iconet.physics.point_spread import misfits

    given = [evidence(strengths, misfits(low, high)[None]) for strengths, low, high in probes]
    if not given:
        return None
    found = WAYS[int(told(torch.cat(given)).mean(dim=0).argmax())]
    return None if found == CROP else found
