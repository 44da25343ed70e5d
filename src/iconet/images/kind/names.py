"""What the name of a file says of its kind: in BIDS, as dcm2niix has it, or as data sets do."""

import re
from pathlib import Path

from iconet.images.bids import STRUCTURAL
from iconet.images.kind.kinds import (
    CT,
    IMAGINARY,
    LABELS,
    MAP,
    MASK,
    MR,
    PET,
    PHASE,
    PROBABILITIES,
    REAL,
    Kind,
)

PARTS = {"mag": MR, "phase": PHASE, "real": REAL, "imag": IMAGINARY}
PARAMETERS = (
    *("T1", "T2", "T2star", "T1rho", "R1", "R2", "R2star", "PD", "M0", "S0", "MTR", "MTV", "MWF"),
    *("PDT2", "Chi", "TB1", "RB1", "ADC"),
)
MAPS = {f"{name}map".lower(): MAP for name in PARAMETERS}
MAPS |= dict.fromkeys(("mtsat", "fieldmap", "dwimap", "statmap", "cbf", "adc"), MAP)
SUFFIXES = {
    **{name.lower(): MR for name in STRUCTURAL},
    **MAPS,
    **{"ct": CT, "pet": PET, "pt": PET},
    **dict.fromkeys(("phase", "phase1", "phase2", "phasediff", "ph"), PHASE),
    **{"real": REAL, "imaginary": IMAGINARY, "imag": IMAGINARY},
    **dict.fromkeys(("dseg", "seg", "label", "labels", "segmentation", "parcellation"), LABELS),
    **dict.fromkeys(("aseg", "aparc", "wmparc"), LABELS),
    **{"mask": MASK, "roi": MASK, "probseg": PROBABILITIES},
}
WHOLE = ("aseg", "aparc+aseg", "aparc.a2009s+aseg", "wmparc", "ribbon", "segmentation", "labels")
"""Names of labels that FreeSurfer and challenges give without anything before them."""
FORMAT = re.compile(r"\.(nii|mgh|mgz|img|hdr|nrrd|nhdr|mha|mhd|npy|png|tiff?)(\.gz)?$")
AGAIN = re.compile(r"(ph|real|imaginary)[a-h]")
"""dcm2niix adds a letter where a name is taken."""
MR_FOLDERS = ("anat", "func", "dwi", "fmap", "perf")  # of BIDS


def by_name(path: Path) -> Kind | None:
    """The kind that a name such as `sub-01_T1w.nii.gz`, or its folder, tells; None for none."""
    name, folder = path.name, path.absolute().parent.name
    if name.lower().endswith((".seg.nrrd", ".seg.nhdr")):
        return Kind(LABELS, "its name ends in .seg.nrrd")
    part = re.search(r"(?:^|_)part-([a-z]+)(?=[_.])", name)
    if part and PARTS.get(part[1], MR) != MR:
        return Kind(PARTS[part[1]], f"part-{part[1]} in its name")
    if FORMAT.sub("", name.lower()) in WHOLE:
        return Kind(LABELS, "its name")
    before, _, last = name.rpartition("_")
    suffix = last.split(".")[0]
    again = AGAIN.fullmatch(suffix)
    known = again[1] if again else suffix.lower()
    if before and known in SUFFIXES:
        return Kind(SUFFIXES[known], f"its name ends in _{suffix}")
    if folder == "pet":
        return Kind(PET, "it is in a folder pet")
    if folder in MR_FOLDERS and name.startswith("sub-"):
        return Kind(MR, f"it is in a folder {folder}")
    return None
