"""What a derived DICOM series says about the models that made it."""

import re
from collections.abc import Sequence

from iconet.images import Scan
from iconet.images.dicom.derived import Provenance
from iconet.zoo.model import Model

MODALITIES = {"CT": "CT", "PT": "PET"}


def provenance_of(models: Sequence[Model], scale: float) -> Provenance:
    """The program, its version, the models and their weights.

    Args:
        models: that took part, one at least.
        scale: how many times finer they made the finest axis.
    """
    import iconet

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
        model=" + ".join(names),
        weights_sha256=hashes[0],
        scale=scale,
        text=" ".join(text),
    )


def untrained_for(scan: Scan, model: Model) -> str | None:
    """A line for CT and PET where the weights say that they are for MRI; None if all is well."""
    modality = MODALITIES.get(str(scan.dicom[0].get("Modality"))) if scan.dicom else None
    if modality is None or not re.search(r"\bMRI?\b", model.purpose or ""):
        return None
    return (
        f"{scan.name}: {modality}, for which {model.name or 'the model'} was not trained"
        f" ({model.purpose}): its result may be worse than interpolation"
    )
