"""The weights that a network, or a stage that joins it, begins with."""

from dataclasses import replace

from torch import Tensor, nn

from iconet import zoo
from iconet.errors import InputError
from iconet.network import ICONet


def start_from(network: nn.Module, weights: str) -> None:
    """Begin with trained weights: every stage as theirs of the same number, or as their last.

    All stages do the same, 2x.
    """
    trained = zoo.load(weights)
    if not isinstance(network, ICONet):
        raise InputError(f"start_from {weights}: is for ICONet alone; remove it")
    if replace(trained.config, scale=network.scale) != network.config:
        raise InputError(f"start_from {weights}: a network of another size; set size to match")
    begin_stages(network, trained.state_dict(), len(trained.stages))


def begin_stages(network: nn.Module, given: dict[str, Tensor], stages: int) -> None:
    """Every stage as that of the same number of the given ones, or as their last."""
    last = stages - 1
    own = network.state_dict()
    for name in own:
        kind, number, *rest = name.split(".")
        if kind == "stages":
            own[name] = given.get(".".join([kind, str(min(int(number), last)), *rest]), own[name])
        elif name in given:
            own[name] = given[name]
    network.load_state_dict(own)
