"""A trained network and all that others may know of it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.network.trust import Trust
    from iconet.peers import Peer

SCALES = (2, 4)
"""The scales that come with trained weights."""

SMALLEST = 16
"""Pixels along the smallest side that a network takes."""


@dataclass(frozen=True, eq=False)
class Model:
    """What the rest of the program asks of a trained network.

    Attributes:
        network: In evaluation mode.
        name: In the catalogue, or as its recipe names it; None where its file says nothing.
        purpose: One line; None likewise.
        task: ``super-resolution`` (both axes of a slice), ``through-plane`` (one axis), or
            ``joint`` (undersampled k-space reconstructed as well).
        degradation: What low-resolution images were in training; None where its file says nothing.
        sha256: Of its file of weights; None for a network that was not loaded from one.
    """

    network: "ICONet | Peer"
    name: str | None
    purpose: str | None
    task: str
    degradation: Mapping[str, Any] | None
    sha256: str | None

    @classmethod
    def of(cls, network: "ICONet | Peer") -> "Model":
        """Describe a network by what its file of weights says of itself."""
        metadata = network.metadata
        try:
            recipe = _section(json.loads(metadata.get("recipe", "{}")))
        except ValueError:
            recipe = {}  # not by iconet's training
        task = _section(recipe.get("task")).get("kind", "super-resolution")
        degradation = recipe.get("slice_profile" if task == "through-plane" else "degradation")
        name, purpose = metadata.get("name"), metadata.get("purpose")
        return cls(network, name, purpose, task, _section(degradation) or None, network.sha256)

    @property
    def scale(self) -> int:
        """How many times as many pixels along each axis."""
        return self.network.scale

    @property
    def channels(self) -> int:
        """1 for magnitude images, 2 for complex ones."""
        return self.network.channels

    def running(self, uncertainty: bool) -> "ICONet | Peer":
        """The network that runs: with its head for intervals where these are asked for.

        Raises:
            InputError: The weights come without one.
        """
        return self._with_intervals if uncertainty else self.network

    @cached_property
    def _with_intervals(self) -> "ICONet | Peer":
        from iconet.network import ICONet

        trust = self.trust
        if trust is None or not isinstance(self.network, ICONet):
            raise InputError(
                f"{self.name or 'the model'}: no intervals come with these weights; make them with"
                " tools/publish_trust.py, or omit --uncertainty"
            )
        return self.network.with_head(trust.head)

    @property
    def trust(self) -> "Trust | None":
        """How far its results may be trusted, as far as that was measured."""
        found: Trust | None = getattr(self.network, "trust", None)
        return found

    @property
    def details(self) -> str:
        """Lines for people who want to know what the network is made of."""
        network = self.network
        facts = {
            "task": self.task,
            "parameters": f"{sum(weights.numel() for weights in network.parameters()):,}",
            "settings": _listed(self._settings),
            "input": f"{self.channels} channel{'s' * (self.channels > 1)}, {SMALLEST} x {SMALLEST} "
            f"or more; tiles at multiples of {network.multiple}, {network.halo} pixels of context",
            "trained for": _listed(self.degradation or {}) or "unknown",
            "SHA-256": self.sha256 or "not loaded from a file",
        }
        return "\n".join(f"    {name}: {text}" for name, text in facts.items())

    @property
    def _settings(self) -> dict[str, Any]:
        from iconet.network import ICONet

        return asdict(self.network.config) if isinstance(self.network, ICONet) else {}

    @property
    def one_axis(self) -> bool:
        """Whether it was trained to enlarge one axis and is of no use for two."""
        return self.task == "through-plane"


KINDS = {"MR": r"\bMRI?\b", "CT": r"\bCT\b", "PET": r"\bPET\b"}
"""How a purpose names the kinds of images."""


def trained_for(purpose: str | None, kind: str) -> bool:
    """Whether weights may serve a kind of image, see `iconet.images.kind`.

    Args:
        purpose: what they say that they are for. Those that name no kind are believed to be for
            whatever they are given.
        kind: "MR", "CT" or "PET".
    """
    named = [name for name, words in KINDS.items() if re.search(words, purpose or "")]
    return not named or kind in named


def _is_network(model: Any) -> bool:
    from torch import nn

    needed = ("scale", "channels", "halo", "multiple", "metadata", "sha256")
    return isinstance(model, nn.Module) and all(hasattr(model, name) for name in needed)


def _section(content: Any) -> dict[str, Any]:
    """A section of a recipe; empty if it is none."""
    return content if isinstance(content, dict) else {}


def _listed(content: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in content.items())


def open_model(
    model: "str | os.PathLike[str] | ICONet | None" = None,
    *,
    scale: int | None = None,
    device: str = "cpu",
    kind: str | None = None,
) -> Model:
    """Load a model, or take the network that is there.

    Args:
        model: What `iconet.load` takes, or a network; by default the package's own for the scale.
        scale: 2 or 4, which the model must have; None for any.
        device: Where to put it, as torch names devices.
        kind: None for a model of magnitude images. Otherwise one of any images will do, and the
            name of the default one ends in this, such as "-joint".

    Raises:
        InputError: Unknown or broken model; a scale without weights; model and scale disagree; a
            model of complex images where one of magnitude images is asked for.
    """
    from iconet.zoo.loading import load

    if scale is not None and scale not in SCALES:
        raise InputError(f"scale {scale} is not available: use {' or '.join(map(str, SCALES))}")
    if model is None:
        model = f"mri-x{scale or SCALES[0]}{kind or ''}"
    if isinstance(model, str | os.PathLike):
        network = load(os.fspath(model), device=device)
    elif not _is_network(model):
        raise InputError(
            f"the given model is of type {type(model).__name__}; give its name, its file or what"
            " iconet.load returns"
        )
    else:
        network = model.to(device).eval()
    if scale is not None and network.scale != scale:
        raise InputError(f"the model enlarges {network.scale}x, not {scale}x: give only one")
    if kind is None and network.channels != 1:
        raise InputError(
            "the model takes complex images with their k-space, not magnitude images: "
            f"for a scan as it is stored choose mri-x{network.scale}"
        )
    return Model.of(network)
