"""What a derived DICOM series says about the models that made it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from iconet.images.dicom.derived_header import Provenance
from iconet.zoo.model import Model

NOT_VALUES = ("series", "uncertainty")


def provenance_of(
    models: Sequence[Model], scale: float, options: Mapping[str, Any] | None = None
) -> Provenance:
    """The program, its version, the models and their weights.

    Args:
        models: that took part; none where the scan was interpolated.
        scale: how many times finer they made the finest axis.
        options: that decide on the values; which series was meant says the source itself, and
            whether there are bounds beside it changes nothing in a result.
    """
    import iconet

    deciding = {name: value for name, value in (options or {}).items() if name not in NOT_VALUES}
    names = [model.name or "without a name" for model in models]
    hashes = [model.sha256 or "unknown" for model in models]
    purposes = dict.fromkeys(model.purpose for model in models)
    text = [f"The weights are for {purpose}." for purpose in purposes if purpose]
    text += [
        f"Weights of {name}: SHA-256 {sha256}."
        for name, sha256 in zip(names[1:], hashes[1:], strict=True)
    ]
    return Provenance(
        software="iconet",
        version=iconet.__version__,
        model=" + ".join(names) or None,
        weights_sha256=hashes[0] if hashes else None,
        scale=scale,
        text=" ".join(text),
        settings=json.dumps(deciding, sort_keys=True),
    )
