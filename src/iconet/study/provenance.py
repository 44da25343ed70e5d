"""What a derived DICOM series says about the models that made it."""

from collections.abc import Sequence

from iconet.images.dicom.derived_header import Provenance
from iconet.zoo.model import Model


def provenance_of(models: Sequence[Model], scale: float) -> Provenance:
    """The program, its version, the models and their weights.

    Args:
        models: that took part; none where the scan was interpolated.
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
        model=" + ".join(names) or None,
        weights_sha256=hashes[0] if hashes else None,
        scale=scale,
        text=" ".join(text),
    )
