"""The networks that ICONet is compared with, retrained under its recipe."""

from collections.abc import Callable

from torch import nn

from iconet.errors import InputError
from iconet.network import ICONet
from iconet.network.config import stages_for
from iconet.peers.ablations import ABLATIONS, build_ablation
from iconet.peers.edsr import EDSR
from iconet.peers.from_spandrel import safmn, swinir_light
from iconet.peers.peer import Peer
from iconet.peers.rcan import RCAN
from iconet.peers.t2net import T2Net

__all__ = ["ABLATIONS", "NAMES", "Peer", "build"]


# How each is made, the multiple of pixels that its sides must be, and its features at that size.
_PEERS: dict[str, tuple[Callable[[int, int], nn.Module], int, int]] = {
    "edsr-baseline": (EDSR, 1, 64),
    "rcan": (RCAN, 1, 64),
    "swinir-light": (swinir_light, 8, 60),
    "safmn": (safmn, 8, 36),
    "t2net": (T2Net, 4, 64),
}
NAMES = tuple(_PEERS)


def build(name: str, scale: int, channels: int = 1) -> Peer | ICONet:
    """Make an untrained peer, or ICONet with a part taken out.

    Args:
        name: One of `NAMES` or `ABLATIONS`.
        scale: 2, 4 or 8.
        channels: 1 for magnitude images, 2 for complex ones as real and imaginary part.

    Returns:
        The network; it is called like `iconet.ICONet`.

    Raises:
        InputError: If there is no such peer, or the library that has it is not installed.
        ValueError: If ``scale`` is not 2, 4 or 8, or the part is none of a network of that scale.
    """
    if name in ABLATIONS:
        return build_ablation(name, scale, channels)
    stages_for(scale)
    if name not in _PEERS:
        raise InputError(f"no peer is called '{name}': choose one of {', '.join(NAMES)}")
    make, multiple, width = _PEERS[name]
    architecture = make(scale, channels)
    return Peer(architecture, scale=scale, channels=channels, multiple=multiple, width=width)
