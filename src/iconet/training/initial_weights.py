"""The weights that a network, or a stage that joins it, begins with."""

from dataclasses import replace

from torch import Tensor, nn

from iconet.errors import InputError
from iconet.network import ICONet
from iconet.training.architecture import load_trained


def start_from(network: nn.Module, weights: str, architecture: str = "iconet") -> None:
    """Begin with trained weights.

    Those of an ICONet go in by stages, which all do the same, 2x: every stage as theirs of the same
    number, or as their last. Of another architecture the weights must be of the same network.

    Raises:
        InputError: If the weights cannot be used, or are of another network.
    """
    trained = load_trained(weights, architecture)
    if isinstance(network, ICONet) and isinstance(trained, ICONet):
        if replace(trained.config, scale=network.scale) != network.config:
            raise InputError(f"start_from {weights}: a network of another size; set size to match")
        begin_stages(network, trained.state_dict(), len(trained.stages))
        return
    try:
        network.load_state_dict(trained.state_dict())
    except RuntimeError:
        raise InputError(
            f"start_from {weights}: of another network than {architecture}; give weights of this "
            "one, or leave it out"
        ) from None


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
