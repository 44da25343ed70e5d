"""Weighs what a scan says of its kind with what it holds.

A header comes first, then a name, then the values. Where none of them tells it is MR. PET cannot
be told from MRI by its values, and neither can CT without air around the body or stored with
another offset.
"""

from dataclasses import replace

import numpy as np

from iconet.errors import InputError
from iconet.images.kind.headers import by_dicom, by_nifti, by_segments, by_sidecar
from iconet.images.kind.kinds import (
    CT,
    KINDS,
    LABELS,
    MASK,
    MR,
    NOUNS,
    PHASE,
    PROBABILITIES,
    SIGNED,
    Kind,
)
from iconet.images.kind.names import by_name
from iconet.images.kind.values import (
    in_hounsfield_units,
    labels_like,
    of_two_values,
    phase_like,
    whole,
    within,
)
from iconet.images.scan import Scan


def kind_of(scan: Scan, asked: str = "auto") -> Kind:
    """What kind of image a scan is.

    Args:
        scan: As read.
        asked: One of `KINDS` overrules all that the scan says; "auto" for none.

    Raises:
        InputError: No such kind.
    """
    if asked != "auto":
        known = {name.lower(): name for name in NOUNS}
        if asked.lower() not in KINDS:
            raise InputError(f"kind {asked}: give auto, {', '.join(KINDS)}")
        said = Kind(known[asked.lower()], "by --kind")
        return _doubted(scan, _signed(scan, said)) if said.name == MR else said
    found, named = _said(scan)
    if found is not None and named and found.name in (LABELS, MASK):
        return _checked(scan, found)
    if found is None and in_hounsfield_units(scan.array):
        return Kind(CT, "values in Hounsfield units")
    if found is None or found.name == MR:
        return _doubted(scan, _signed(scan, found or Kind(MR, "nothing else is said")))
    return found


def _said(scan: Scan) -> tuple[Kind | None, bool]:
    """What header, name and the file beside it say, and whether it is the name alone."""
    if scan.dicom:
        return by_dicom(scan.dicom), False
    found = by_segments(scan.keywords)
    if found is None and scan.header is not None:
        found = by_nifti(scan.header)
    if found is not None or scan.path is None:
        return found, False
    component, modality = by_sidecar(scan.path)
    if component is not None:
        return component, False
    named = by_name(scan.path)
    return named or modality, named is not None


def _checked(scan: Scan, said: Kind) -> Kind:
    """Labels and masks only where the values can be: many a masked image is called a mask."""
    if whole(scan.array):
        if of_two_values(scan.array):
            return replace(said, name=MASK)
        if said.name == LABELS or labels_like(scan.array):
            return replace(said, name=LABELS)
    elif within(scan.array, 0, 1):
        return Kind(PROBABILITIES, f"{said.why}, with values between 0 and 1")
    doubt = (
        f"{said.why}, but its values are those of an image: taken for one; --kind labels if they"
        " are labels"
    )
    return _signed(scan, Kind(MR, "its values", doubt=doubt))


def _signed(scan: Scan, kind: Kind) -> Kind:
    return replace(kind, name=SIGNED) if np.fmin.reduce(scan.array, axis=None) < 0 else kind


def _doubted(scan: Scan, kind: Kind) -> Kind:
    """With a line where the values look like something else."""
    if count := labels_like(scan.array):
        what, seems = f"looks like labels ({count} values in connected regions)", LABELS
    elif phase_like(scan.array):
        what, seems = "looks like a phase (values that fill its range and jump across it)", PHASE
    elif in_hounsfield_units(scan.array):
        what, seems = "looks like CT (air near -1000, soft tissue near 0)", CT
    else:
        return kind
    doubt = (
        f"{what} and does not say so: taken for {kind.noun}; --kind {seems.lower()} if that is true"
    )
    return replace(kind, doubt=doubt, seems=seems)
