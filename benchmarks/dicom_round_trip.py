"""Real DICOM series through `iconet upscale`, checked by programs of others.

    python benchmarks/dicom_round_trip.py SERIES [SERIES ...] [--model mri-x2]

Every series (a folder) is upscaled to a DICOM series, and by `iconet.upscale` in Python. SimpleITK
and dcm2niix read the derived series; the corners of the field of view must lie where the source's
lie, within 1e-3 mm, and the values must be Python's within 1/4000 of their range. dciodvfy
(dicom3tools) must find no error that the source did not have. Exit code 1 where one of this fails.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray

import iconet

Volume = tuple[NDArray, NDArray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", type=Path, nargs="+")
    parser.add_argument("--model", default="mri-x2")
    options = parser.parse_args()
    # The programs of an environment that is not activated.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    print("| series | voxels | SimpleITK, mm | dcm2niix, mm | values / range | new errors |")
    print("|---|---|---|---|---|---|", flush=True)
    fine = True
    for folder in options.series:
        with tempfile.TemporaryDirectory() as scratch:
            fine &= check(folder, options.model, Path(scratch))
    sys.exit(not fine)


def check(source: Path, model: str, scratch: Path) -> bool:
    """Print a row; whether all is as it should be."""
    derived = scratch / "derived"
    command = [sys.executable, "-m", "iconet.cli", "upscale", source, "-o", derived]
    result = subprocess.run([*command, "--model", model], capture_output=True, text=True)
    if result.returncode:
        print(f"| {source.name} | {result.stderr.strip().splitlines()[-1]} |", flush=True)
        return False
    before, after = by_simpleitk(source), by_simpleitk(derived)
    converted = by_dcm2niix(derived, scratch)
    image = iconet.upscale(source, model=model)
    values, affine = image.get_fdata(), image.affine
    places = [distance(field_of_view(*before), field_of_view(*after))]
    places.append(distance(field_of_view(values, affine), field_of_view(*converted)))
    wrong = np.abs(after[0] - values).max() / np.ptp(values)
    new = errors(derived) - errors(repaired(source, scratch / "repaired"))
    size = " x ".join(map(str, values.shape))
    numbers = f"{places[0]:.1e} | {places[1]:.1e} | 1/{1 / wrong:.0f} | {len(new)}"
    print(f"| {source.name} | {size} | {numbers} |", *sorted(new), sep="\n", flush=True)
    # The slope of a PET slice is of the whole series for dcm2niix: its values are not compared.
    return max(places) < 1e-3 and wrong < 1 / 4000 * 1.001 and not new


def by_simpleitk(folder: Path) -> Volume:
    """Values (I, J, K) and RAS+ affine."""
    image = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).T, np.diag([-1, -1, 1, 1]) @ affine


def by_dcm2niix(folder: Path, scratch: Path) -> Volume:
    """Values and affine; dcm2niix turns the axes as it likes."""
    command = ["dcm2niix", "-b", "n", "-z", "n", "-f", "converted", "-o", scratch, folder]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = scratch.glob("converted*.nii")
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


def field_of_view(values: NDArray, affine: NDArray) -> NDArray:
    """The eight outer corners in millimetres, in an order that no turning of axes changes."""
    ends = [(-0.5, size - 0.5) for size in values.shape]
    corners = np.array(list(product(*ends))) @ affine[:3, :3].T + affine[:3, 3]
    return corners[np.lexsort(corners.round(1).T)]


def distance(first: NDArray, second: NDArray) -> float:
    """The largest between corners."""
    return float(np.linalg.norm(first - second, axis=1).max())


def repaired(source: Path, target: Path) -> Path:
    """Copies that say of what class they are: anonymisation may have made both places disagree,
    and then dciodvfy does not look at the rest.
    """
    target.mkdir()
    for path in source.iterdir():
        image = pydicom.dcmread(path)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID
        image.save_as(target / path.name)
    return target


def errors(folder: Path) -> set[str]:
    """What dciodvfy calls errors, over all files."""
    found: set[str] = set()
    for path in folder.iterdir():
        result = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
        lines = (result.stderr + result.stdout).splitlines()
        found |= {line for line in lines if line.startswith("Error")}
    return found


if __name__ == "__main__":
    main()
