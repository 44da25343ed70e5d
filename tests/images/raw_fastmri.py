"""Small files in the layout of fastMRI."""

from pathlib import Path

import h5py
import torch

HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>{H}</x><y>{W}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{fx}</x><y>{fy}</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{h}</x><y>{w}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{gx}</x><y>{gy}</y><z>5</z></fieldOfView_mm></reconSpace>
<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""


def fastmri(path: Path, kspace: torch.Tensor, shown: tuple[int, int] | None = None) -> Path:
    """A file of fastMRI with pixels of 2 x 1.5 mm; a single coil has no axis for it."""
    height, width = kspace.shape[-2:]
    h, w = shown or (height, width)
    fields = {"fx": 2 * height, "fy": 1.5 * width, "gx": 2 * h, "gy": 1.5 * w}
    with h5py.File(path, "w") as file:
        file["kspace"] = (kspace[:, 0] if kspace.shape[1] == 1 else kspace).numpy()
        file["ismrmrd_header"] = HEADER.format(H=height, W=width, h=h, w=w, **fields)
    return path
