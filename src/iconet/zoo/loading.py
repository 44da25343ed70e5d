"""From a name or a file to a network ready to use."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.files import sha256_of
from iconet.images.content import why_no_content
from iconet.zoo.catalogue import catalogue
from iconet.zoo.trust import read_trust
from iconet.zoo.weights_file import read_weights

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet
    from iconet.peers import Peer


def load(name: str | Path, device: str = "cpu") -> "ICONet | Peer":
    """Load a trained network.

    Args:
        name: A name that ``iconet models`` lists, or a ``.safetensors`` file from ``iconet train``.
            For a network of your own: ``package.module:Class@file.safetensors``. You name the class
            yourself, because a file of weights never makes iconet run code.
        device: Where to put the network, as torch names devices.

    Returns:
        The network in evaluation mode. Its ``metadata`` holds what the file says of itself,
        ``sha256`` the file's hash, and ``trust`` what was measured of its results.

    Raises:
        InputError: If the name is unknown, or the file is missing, damaged or not of an ICONet.
    """
    from iconet.peers.own import is_own

    own, at, file = str(name).partition("@")
    own = own if at and is_own(own) else ""
    path, expected, trust = _find(file if own else name)
    metadata, tensors = read_weights(path)
    digest = sha256_of(path)
    if expected and digest != expected:
        raise InputError(f"{path}: damaged (its SHA-256 is not the recorded one); reinstall iconet")
    architecture = metadata.get("architecture", "iconet")
    model: ICONet | Peer
    if own:
        model = _build_own(own, path, metadata, tensors)
    elif is_own(architecture):
        raise InputError(
            f"{path}: weights of a network of your own, whose code runs only if you name its class;"
            f" give {architecture}@{path} if you trust it"
        )
    elif architecture != "iconet":
        raise InputError(f"{path}: weights of '{architecture}', which is for comparison only")
    else:
        model = _build(path, metadata, tensors)
    model.metadata, model.sha256 = metadata, digest
    if not own:
        model.trust = read_trust(path, digest, trust)
    return model.to(device).eval()


def _find(name: str | Path) -> tuple[Path, str | None, str | None]:
    """The file of weights, its hash and that of the file of trust, where these are recorded."""
    entries = catalogue()
    for entry in entries:
        if str(name) == entry.name:
            return entry.path, entry.sha256, entry.trust
    path = Path(name)
    if path.suffix != ".safetensors":
        known = "".join(f"{entry.name}, " for entry in entries)
        raise InputError(f"{name}: no such model; choose {known}or a .safetensors file")
    if (why := why_no_content(path)) is not None:
        raise InputError(f"{path}: {why}")
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; check the path")
    return path, None, None


def _build(path: Path, metadata: dict[str, str], tensors: "dict[str, Tensor]") -> "ICONet":
    import torch

    from iconet.network import ICONet
    from iconet.network.older_weights import current_config, current_names

    try:
        config = current_config(dict(json.loads(metadata["config"])))
        _check_numbers(config, len(tensors))
        tensors = current_names(tensors)
        # Without memory first: what the configuration claims must be what the file holds.
        with torch.device("meta"):
            claimed = {name: t.shape for name, t in ICONet(**config).state_dict().items()}
        if claimed != {name: t.shape for name, t in tensors.items()}:
            raise ValueError("other tensors than the configuration says")
        model = ICONet(**config)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{path}: its weights do not fit this version's network; train or get it again"
        ) from None
    return model


def _build_own(
    name: str, path: Path, metadata: dict[str, str], tensors: "dict[str, Tensor]"
) -> "Peer":
    """The user's class with the weights of a file; only options are taken from what that says."""
    from iconet.peers.own import build_own

    try:
        config = json.loads(metadata["config"])
        scale, channels, options = (config[key] for key in ("scale", "channels", "options"))
        if scale not in (2, 4, 8) or channels not in (1, 2) or not isinstance(options, dict):
            raise ValueError("no such network")
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: not the weights of a network of your own; give them without '{name}@'"
        ) from None
    model = build_own(name, scale, channels, options)
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise InputError(
            f"{path}: its weights do not fit {name}, which may have changed since; train it again"
        ) from None
    return model


def _check_numbers(config: dict[str, Any], tensors: int) -> None:
    """Refuse a configuration of more modules than the file has tensors: building takes time."""
    from iconet.network import ICONetConfig

    known = asdict(ICONetConfig())
    if any(type(value) is not type(known[name]) for name, value in config.items()):
        raise ValueError("a value of another kind")
    if config["width"] < 1:
        raise ValueError("no channels")
    units = config["rec_units"] + config["sr_units"]
    if config["exchanges"] * units > tensors:
        raise ValueError("more units than tensors")
