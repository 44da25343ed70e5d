"""The file beside a network's weights that says how far its results may be trusted.

`NAME.trust.safetensors` belongs to one file of weights, whose SHA-256 it names: with others its
intervals would be wrong.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.files import sha256_of
from iconet.zoo.weights_file import read_weights

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network.trust import Trust

FORMAT = "iconet-trust"
REMEDY = "make it again with tools/publish_trust.py"


def trust_file(weights: Path) -> Path:
    """Where it lies."""
    return weights.with_name(f"{weights.stem}.trust.safetensors")


def read_trust(weights: Path, sha256: str, expected: str | None = None) -> "Trust | None":
    """Read the file beside weights; None where there is none, or one of other weights.

    Training writes new weights to the same place: what was measured of the old ones is no fault.

    Args:
        weights: The file of weights.
        sha256: Its hash.
        expected: Hash of the file to be read, where that is recorded.

    Raises:
        InputError: It is damaged, or of another program or version.
    """
    from iconet.network.interval import IntervalHead
    from iconet.network.trust import Familiar, Trust

    path = trust_file(weights)
    if not path.is_file():
        return None
    metadata, tensors = read_weights(path, FORMAT)
    digest = sha256_of(path)
    if expected and digest != expected:
        raise InputError(f"{path}: damaged (its SHA-256 is not the recorded one); reinstall iconet")
    if metadata.get("weights") != sha256:
        return None
    try:
        head = IntervalHead(tensors["head.near.weight"].shape[1])
        head.load_state_dict(_part(tensors, "head."))
        known = _part(tensors, "familiar.")
        content = json.loads(metadata["measured"])
        familiar = None
        if known:
            familiar = Familiar(**known, furthest=float(content["furthest"]))
        ranges = {
            name: (float(low), float(high)) for name, (low, high) in content["ranges"].items()
        }
        return Trust(head.eval(), familiar, ranges, dict(content["calibration"]), digest)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):
        raise InputError(f"{path}: does not fit this version; {REMEDY}") from None


def trust_content(trust: "Trust", weights: str) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """Tensors and metadata of such a file, for `iconet.training.checkpoint.write_safetensors`.

    Args:
        trust: what was measured.
        weights: SHA-256 of the file of weights that it was measured of.
    """
    # Weights are stored as those of networks are; what the calibration found is not rounded.
    learnt = dict(trust.head.named_parameters())
    tensors = {
        f"head.{name}": tensor.half() if name in learnt else tensor
        for name, tensor in trust.head.state_dict().items()
    }
    familiar = trust.familiar
    content: dict[str, Any] = {
        "ranges": dict(trust.ranges),
        "calibration": dict(trust.calibration),
        "furthest": None if familiar is None else familiar.furthest,
    }
    if familiar is not None:
        tensors["familiar.mean"] = familiar.mean
        tensors["familiar.deviation"] = familiar.deviation
        tensors["familiar.whitening"] = familiar.whitening.half()
    measured = json.dumps(content, sort_keys=True)
    return tensors, {"format": FORMAT, "weights": weights, "measured": measured}


def _part(tensors: "dict[str, Tensor]", prefix: str) -> "dict[str, Tensor]":
    return {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
