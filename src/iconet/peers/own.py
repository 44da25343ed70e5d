"""A network of a user, by the name ``package.module:Class``."""

import importlib
import inspect
import os
import re
import sys
from typing import Any

from torch import nn

from iconet.errors import InputError
from iconet.peers.peer import Peer

PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_own(name: str) -> bool:
    """Whether the name of an architecture is that of a class of the user."""
    return PATTERN.fullmatch(name) is not None


def build_own(name: str, scale: int, channels: int, options: dict[str, Any]) -> Peer:
    """Make a network of a user, untrained, under the conditions of ICONet and of every peer.

    The class is called as ``Class(scale=..., channels=..., **options)``. Its module maps a
    normalised image (B, channels, H, W) to what is added to the interpolated one, (B, channels,
    scale H, scale W); see `iconet.peers.Peer`. It may have the attributes ``multiple`` (sides it
    takes are multiples of this, 1), ``width`` (its features at the input's size, from which memory
    is estimated, 64) and ``halo`` (context of a tile in pixels, 32).

    Importing a module runs its code: call this only with a name that the user gave.

    Args:
        name: ``package.module:Class``; a module that is installed, or in the current folder.
        scale: 2, 4 or 8.
        channels: 1 for magnitude images, 2 for complex ones as real and imaginary part.
        options: More arguments of the class.

    Raises:
        InputError: If there is no such class, or it cannot be made so.
    """
    made = _class(name)
    try:
        network = made(scale=scale, channels=channels, **options)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{name}: cannot be made with scale={scale}, channels={channels} and {options} "
            f"({reason}); correct the class or network.options"
        ) from error
    multiple, width, halo = (
        _number(name, network, attribute, usual)
        for attribute, usual in (("multiple", 1), ("width", 64), ("halo", Peer.halo))
    )
    peer = Peer(network, scale=scale, channels=channels, multiple=multiple, width=width)
    peer.halo = halo
    return peer


def _class(name: str) -> type[nn.Module]:
    module_name, _, class_name = name.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # last: nothing there takes the place of what is installed
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise InputError(
                f"{name}: no module '{error.name}' is installed or in this folder; install it or "
                "set PYTHONPATH to its folder"
            ) from None
        raise InputError(f"{name}: its module needs '{error.name}'; install that") from None
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{name}: its module cannot be imported ({reason}); correct it") from error
    found = getattr(module, class_name, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        raise InputError(
            f"{name}: {module.__file__} has no torch.nn.Module '{class_name}'; correct the name"
        )
    return found


def _number(name: str, network: nn.Module, attribute: str, usual: int) -> int:
    value = getattr(network, attribute, usual)
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{name}: its attribute {attribute} is not a positive whole number")
    return value
