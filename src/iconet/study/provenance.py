"""What a derived DICOM series says about the network that made it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from iconet.images import Scan
from iconet.images.dicom.derived_header import Provenance
from iconet.images.reading import SUFFIXES

if TYPE_CHECKING:
    from iconet.network import ICONet

MODALITIES = {"CT": "CT", "PT": "PET"}


def names_series(output: Path) -> bool:
    """Whether an output is the folder of a series: it does not end as names of files do.

    UIDs and versions have dots too, so what follows one is a suffix only if it is a few letters.
    """
    if output.name.lower().endswith(SUFFIXES):
        return False
    return output.is_dir() or not re.fullmatch(r"\.[A-Za-z]{1,4}", output.suffix)


def provenance_of(networks: Sequence["ICONet"], scale: float) -> Provenance:
    """The program, its version, the models and their weights.

    Args:
        networks: that took part, one at least.
        scale: how many times finer they made the finest axis.
    """
    import iconet

    names = [_metadata(network).get("name", "without a name") for network in networks]
    hashes = [getattr(network, "sha256", "unknown") for network in networks]
    purposes = dict.fromkeys(_metadata(network).get("purpose") for network in networks)
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


def untrained_for(scan: Scan, network: "ICONet") -> str | None:
    """A line for CT and PET where the weights say that they are for MRI; None if all is well."""
    modality = MODALITIES.get(str(scan.dicom[0].get("Modality"))) if scan.dicom else None
    metadata = _metadata(network)
    if modality is None or not re.search(r"\bMRI?\b", metadata.get("purpose", "")):
        return None
    return (
        f"{scan.name}: {modality}, for which {metadata.get('name', 'the model')} was not trained"
        f" ({metadata['purpose']}): its result may be worse than interpolation"
    )


def _metadata(network: "ICONet") -> dict[str, str]:
    return getattr(network, "metadata", {})  # a network that was not loaded has none
