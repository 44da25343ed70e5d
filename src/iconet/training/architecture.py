"""From a recipe, or a file that training wrote, to a network: ICONet or one it is compared with."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet import zoo
from iconet.errors import InputError
from iconet.files import sha256_of
from iconet.network import SIZES, ICONet
from iconet.network.older_weights import current_names
from iconet.peers.own import build_own, is_own
from iconet.training.recipe import Network, Recipe
from iconet.zoo.weights_file import read_weights

if TYPE_CHECKING:
    from iconet.peers import Peer


def build(network: Network, scale: int, channels: int = 1) -> "ICONet | Peer":
    """Make an untrained network.

    Args:
        network: Which one.
        scale: 2, 4 or 8.
        channels: 1 for magnitude images, 2 for complex ones as real and imaginary part.

    Returns:
        A network that is called like :class:`iconet.network.ICONet`.

    Raises:
        InputError: If the options do not go together.
    """
    if network.own:
        return build_own(network.architecture, scale, channels, network.options)
    if network.architecture != "iconet":
        return _peer(network.architecture, scale, channels)
    options: dict[str, Any] = {**SIZES[network.size], **network.options}
    try:
        return ICONet(scale, channels=channels, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"network.options {network.options}: {reason}; correct them") from None


def architecture_metadata(recipe: Recipe) -> dict[str, str]:
    """What a file of weights must say so that :func:`load_trained` can build its network."""
    network = build(recipe.network, recipe.scale, recipe.task.channels)
    settings: dict[str, Any]
    if isinstance(network, ICONet):
        settings = asdict(network.config)
    else:
        settings = {name: getattr(network, name) for name in ("scale", "channels", "width")}
    if recipe.network.own:
        settings["options"] = recipe.network.options
    return {"architecture": recipe.network.architecture, "config": json.dumps(settings)}


def load_trained(path: str | Path, architecture: str | None = None) -> "ICONet | Peer":
    """Load any network that training wrote, in evaluation mode.

    Args:
        path: A ``.safetensors`` file, or what `iconet.load` takes.
        architecture: Of the recipe that made it, if that is known: a class of the user is taken
            from there, never from the file.

    Returns:
        ICONet or a peer; ``metadata`` holds what the file says of itself, and ``sha256`` its
        hash.

    Raises:
        InputError: If the file is missing, damaged, or of neither.
    """
    if architecture is not None and is_own(architecture):
        return zoo.load(f"{architecture}@{path}")
    path = Path(path)
    if path.suffix != ".safetensors" or is_own(str(path).partition("@")[0]):
        return zoo.load(str(path))
    metadata, tensors = read_weights(path)
    name = metadata.get("architecture", "iconet")
    if name == "iconet" or is_own(name):
        return zoo.load(path)
    from iconet import peers

    try:
        config = json.loads(metadata["config"])
        if name not in (*peers.NAMES, *peers.ABLATIONS) or config["scale"] not in (2, 4, 8):
            raise ValueError("no peer of this version")
        model = _peer(name, config["scale"], config["channels"])
        model.load_state_dict(current_names(tensors))
    except InputError:  # it comes from a library that is not installed
        raise
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{path}: its weights do not fit this version's '{name}'; train it again"
        ) from None
    model.metadata, model.sha256 = metadata, sha256_of(path)
    return model.eval()


def _peer(name: str, scale: int, channels: int) -> "Peer | ICONet":
    # Here and not above: training ICONet works without the libraries that peers come from.
    from iconet import peers

    return peers.build(name, scale, channels)
