"""How the slices of a scan lost their resolution, as a network's answers to a few of them tell."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iconet.runtime.device import choose_compute
from iconet.runtime.threads import cores
from iconet.runtime.threads import workers as worker_threads
from iconet.upscaling.fidelity import is_constant

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet
    from iconet.peers import Peer

PROBES = 3
"""Slices that are asked, at most: one alone is often wrong."""

LEAST = 48
"""Rows and columns of slices that tell anything; the networks were trained on larger ones."""

SURE = 2.0
"""Times that a way must be likelier than a crop of k-space. Taking a smooth image for one that was
made smaller does more harm than the reverse: detail is sharpened that was never there."""

NAMED = 0.05
"""The same if the user named the network."""

MIDDLE = (0.25, 0.75)
"""Where they lie among the slices; those at the ends may show nothing."""


def telling(network: "ICONet | Peer") -> "ICONet | None":
    """A network that was fitted to tell the way, see `iconet.training.way`; None for another."""
    from iconet.network import ICONet

    fitted = isinstance(network, ICONet) and network.way is not None and network.way.is_fitted
    return network if fitted else None  # type: ignore[return-value]


def find_way(network: "ICONet", stack: NDArray, *, named: bool = False) -> str | None:
    """How slices most likely lost their resolution.

    Args:
        network: one that tells the way.
        stack: (N, H, W), real, as stored.
        named: whether the user named the network, and so believes that it is no crop.

    Returns:
        One of `iconet.network.description.WAYS`; None for a crop of k-space, which is what scanners
        do, and for slices too small to tell.
    """
    import torch

    from iconet.network.description import CROP, WAYS, evidence

    numbers = {round(share * (len(stack) - 1)) for share in np.linspace(*MIDDLE, PROBES)}
    probes = [stack[number] for number in sorted(numbers) if not is_constant(stack[number])]
    if not probes or min(stack.shape[1:]) < LEAST:
        return None
    told = network.way
    assert told is not None

    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    compute = choose_compute(str(next(network.parameters()).device))

    def ask(probe: NDArray) -> "Tensor":
        image = torch.from_numpy(np.ascontiguousarray(probe, np.float32))
        with torch.inference_mode(), compute.autocast():
            found = evidence(network, image)
        with torch.inference_mode():
            return told(found)

    workers = min(cores(), len(probes))
    with worker_threads(workers, each=max(1, cores() // workers)) as pool:
        scores = torch.cat(list(pool.map(ask, probes))).mean(dim=0)
    likelihood = dict(zip(WAYS, scores.exp().tolist(), strict=True))
    crop = likelihood.pop(CROP)
    likeliest = max(likelihood, key=likelihood.__getitem__)
    return likeliest if likelihood[likeliest] > crop * (NAMED if named else SURE) else None
