"""Training volumes: scans as slices in memory."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from iconet.data.splits import read_splits as read_splits
from iconet.network import robust_scale


@dataclass(frozen=True)
class Volume:
    """A scan as a stack of sharp slices.

    Attributes:
        name: dataset/subject/contrast, for people.
        dataset: Name of the data set, to weigh it in sampling.
        slices: (S, H, W) float16, intensities relative to the volume's robust scale, H and W
            multiples of 8; slices without anatomy are left out.
    """

    name: str
    dataset: str
    slices: Tensor


def load_volume(
    path: Path, plane: str, name: str = "", dataset: str = "", contrast: str = ""
) -> Volume:
    """Read a scan as training slices: what was acquired, on a background of 0.

    Args:
        path: An image file, or an HDF5 file of fastMRI.
        plane: The sharp plane, ``axial``, ``coronal``, ``sagittal``, ``i``, ``j``, ``k`` or
            ``auto``.
        name: For people; the file's name by default.
        dataset: Name of the data set.
        contrast: See `iconet.data.truth.read_truth`.

    Raises:
        InputError: If the file cannot be used.
    """
    # Here and not above: training from prepared slices works without nibabel.
    from iconet.data.truth import read_truth

    slices = torch.from_numpy(read_truth(path, plane, contrast))
    slices = slices / robust_scale(slices.reshape(1, 1, -1, slices.shape[2]))[0]
    bright = (slices > 0.1).float().mean(dim=(1, 2))
    slices = slices[bright > 0.05]
    return Volume(name or path.name, dataset, slices.half().contiguous())
