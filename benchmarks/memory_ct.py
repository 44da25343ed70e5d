"""Peak memory of `iconet upscale` on a CT series of 512 x 512 x 600 at 2x, DICOM in and DICOM out.

    python benchmarks/memory_ct.py [--slices 600] [--side 512] [--model mri-x2]

Writes a synthetic series (one stored texture, moved from slice to slice), runs the command in a
process of its own and prints a line for a Markdown table; exit code 1 above 6 GB. Without `--model`
a small untrained network takes the place of the shipped one, which is many times slower and takes
about 1.2 GB instead of 0.3 GB while it runs. Needs 2 GB of disk for 600 slices.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

LIMIT = 6e9


def write_series(folder: Path, side: int, count: int) -> None:
    rng = np.random.default_rng(0)
    y, x = np.ogrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = (x**2 + (1.3 * y) ** 2 < 0.8) * (1050 + 60 * np.cos(20 * x) * np.cos(31 * y))
    texture = np.clip(body + rng.normal(0, 15, (side, side)), 0, 4095).astype(np.int16)
    series = generate_uid()
    for k in range(count):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.SeriesInstanceUID, image.SeriesNumber, image.Modality = series, 1, "CT"
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.ImagePositionPatient, image.PixelSpacing = [-200, -200, k], [0.8, 0.8]
        image.ImageOrientationPatient, image.SliceThickness = [1, 0, 0, 0, 1, 0], 1
        image.Rows = image.Columns = side
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 0
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        image.add_new("PixelData", "OW", np.roll(texture, 3 * k, 0).tobytes())
        image.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def small_network(path: Path) -> Path:
    """Saves one block a branch, 16 channels, untrained."""
    import torch
    from safetensors.torch import save_file

    from iconet.network import ICONet

    torch.manual_seed(0)
    network = ICONet(2, width=16, exchanges=1, rec_units=1, sr_units=1)
    metadata = {
        "format": "iconet",
        "config": json.dumps(asdict(network.config)),
        "name": "untrained",
    }
    save_file(network.state_dict(), path, metadata)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "in").mkdir()
        write_series(folder / "in", options.side, options.slices)
        model = options.model or str(small_network(folder / "small.safetensors"))
        command = [sys.executable, "-m", "iconet.cli", "upscale", str(folder / "in")]
        start = time.monotonic()
        process = subprocess.Popen([*command, "-o", str(folder / "out"), "--model", model])
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or len(list((folder / "out").iterdir())) != options.slices:
            return 1
    peak = used.ru_maxrss * 1024
    shape = f"{options.side} x {options.side} x {options.slices}"
    name = options.model or "small untrained network"
    print(f"| {shape} | {name} | {(time.monotonic() - start) / 60:.1f} min | {peak / 1e9:.2f} GB |")
    return int(peak > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
