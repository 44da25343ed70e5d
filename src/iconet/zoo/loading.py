"""From a name or a file to a network ready to use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from iconet.errors import InputError
from iconet.zoo.catalogue import catalogue

if TYPE_CHECKING:
    from iconet.network import ICONet


def load(name: str | Path, device: str = "cpu") -> ICONet:
    """Load a trained network.

    Args:
        name: A name that ``iconet models`` lists, or a ``.safetensors`` file from ``iconet train``.
        device: Where to put it, as torch names devices.

    Returns:
        The network in evaluation mode; its ``metadata`` holds what the file says of itself, and
        ``sha256`` the file's hash.

    Raises:
        InputError: If the name is unknown, or the file is missing, damaged or not of an ICONet.
    """
    path, expected = _find(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    digest = hashlib.sha256(content).hexdigest()
    if expected and digest != expected:
        raise InputError(f"{path}: damaged (its SHA-256 is not the recorded one); reinstall iconet")
    return _build(path, content, digest).to(device).eval()


def _find(name: str | Path) -> tuple[Path, str | None]:
    for entry in catalogue():
        if str(name) == entry.name:
            return entry.path, entry.sha256
    path = Path(name)
    if path.suffix != ".safetensors":
        known = ", ".join(entry.name for entry in catalogue())
        raise InputError(f"{name}: no such model; choose one of {known}, or a .safetensors file")
    if not path.is_file():
        raise InputError(f"{path}: no such file of weights; check the path")
    return path, None


def _build(path: Path, content: bytes, digest: str) -> ICONet:
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    from iconet.network import ICONet

    try:
        tensors = parse(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError):
        raise InputError(f"{path}: damaged or not a safetensors file; get it again") from None
    if metadata.get("format") != "iconet":
        raise InputError(f"{path}: weights of another program; give a file made by iconet train")
    try:
        model = ICONet(**json.loads(metadata["config"]))
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{path}: its weights do not fit this version's network; train or get it again"
        ) from None
    model.metadata, model.sha256 = metadata, digest
    return model
