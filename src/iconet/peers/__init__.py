"""The networks that ICONet is compared with, retrained under its recipe."""

from typing import NamedTuple

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

__all__ = ["ABLATIONS", "NAMES", "Peer", "Published", "build"]


class Published(NamedTuple):
    """Where an architecture comes from.

    Attributes:
        parameters: Number of parameters that its authors (or their code) give, at scales 2 and 4.
        reference: The publication.
        changes: What is different here, for the table's footnotes.
    """

    parameters: str
    reference: str
    changes: str


NAMES = {
    "edsr-baseline": Published("1.37 M / 1.52 M", "Lim et al., CVPR Workshops 2017", ""),
    "rcan": Published(
        "15.4 M / 15.6 M", "Zhang et al., ECCV 2018", "3 groups of 5 blocks instead of 10 of 20"
    ),
    "swinir-light": Published(
        "0.91 M / 0.93 M", "Liang et al., ICCV Workshops 2021", "no stochastic depth"
    ),
    "safmn": Published("0.23 M / 0.24 M", "Sun et al., ICCV 2023", ""),
    "t2net": Published(
        "1.40 M (scale 2)",
        "Feng et al., MICCAI 2021",
        "relevance of cells of 4 x 4 pixels instead of pixels; intensities kept",
    ),
}
"""Every peer's name, and where it comes from."""


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
    architecture: nn.Module
    multiple, width = 1, 64
    match name:
        case "edsr-baseline":
            architecture = EDSR(scale, channels)
        case "rcan":
            architecture = RCAN(scale, channels)
        case "swinir-light":
            architecture, multiple, width = swinir_light(scale, channels), 8, 60
        case "safmn":
            architecture, multiple, width = safmn(scale, channels), 8, 36
        case "t2net":
            architecture, multiple = T2Net(scale, channels), 4
        case _:
            raise InputError(f"no peer is called '{name}': choose one of {', '.join(NAMES)}")
    return Peer(architecture, scale=scale, channels=channels, multiple=multiple, width=width)
