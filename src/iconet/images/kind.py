"""What kind of image a scan is: decided here alone.

What the file says comes first: DICOM's modality, then its name, in BIDS or as data sets have it.
Where neither tells, Hounsfield units do, as no other image has air near -1000 and soft tissue near
0. PET cannot be told from MRI by its values, and neither can CT without air around the body or
stored with another offset: these count as MRI where nothing names them.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iconet.images.bids import STRUCTURAL
from iconet.images.scan import Scan

MODALITIES = {"MR": "MR", "CT": "CT", "PT": "PET"}
SUFFIXES = {"ct": "CT", "pet": "PET", "pt": "PET", **{name.lower(): "MR" for name in STRUCTURAL}}
MR_FOLDERS = ("anat", "func", "dwi", "fmap", "perf")  # of BIDS

AIR, SOFT, BONE = (-1100, -900), (-200, 200), (900, 1100)  # Hounsfield units
LEAST_AIR, LEAST_SOFT = 0.05, 0.1  # of all voxels
SAMPLED = 64  # positions along an axis that are looked at


def kind_of(scan: Scan) -> str:
    """The kind of a scan: "MR", "CT" or "PET"; what nothing else is told of is "MR"."""
    if scan.dicom:
        kind = MODALITIES.get(str(scan.dicom[0].get("Modality")))
    else:
        kind = None if scan.path is None else _by_name(scan.path)
    return kind or ("CT" if _in_hounsfield_units(scan.array) else "MR")


def _by_name(path: Path) -> str | None:
    """By the suffix of a name such as `sub-01_T1w.nii.gz`, or the folder it lies in."""
    name, folder = path.name, path.absolute().parent.name
    suffix = name.rpartition("_")[2].split(".")[0].lower()
    if "_" in name and suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if folder == "pet":
        return "PET"
    return "MR" if folder in MR_FOLDERS and name.startswith("sub-") else None


def _in_hounsfield_units(array: NDArray) -> bool:
    """Whether values are those of CT: much air, much soft tissue, and nothing below air.

    Phases and field maps are as often positive as negative; only CT has more air than bone. What
    lies outside of a scanner's circle has one value, the least.
    """
    if array.min() > AIR[1]:
        return False
    sample = array[tuple(slice(None, None, max(1, n // SAMPLED)) for n in array.shape)]

    def share(low: float, high: float) -> float:
        return float(np.mean((low <= sample) & (sample <= high)))

    below = float(np.mean((sample < AIR[0]) & (sample > sample.min())))
    air = share(*AIR)
    return air >= LEAST_AIR and share(*SOFT) >= LEAST_SOFT and air > 3 * max(share(*BONE), below)
