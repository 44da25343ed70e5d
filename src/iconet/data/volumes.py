"""Training volumes: scans as slices in memory."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.intensity import robust_scale

SQUARE = 1.4  # sides of a pixel: a slice distance of 1.33 mm beside 1 mm is near enough


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
    slices = slices / robust_scale(slices.numpy())
    bright = (slices > 0.1).float().mean(dim=(1, 2))
    slices = slices[bright > 0.05]
    return Volume(name or path.name, dataset, slices.half().contiguous())


def square_planes(path: Path, sharp: str) -> list[str]:
    """The sharp plane of a scan, and its other ones whose pixels are nearly square.

    Of a nearly isotropic scan these are all three, of thick slices none but their own.

    Args:
        path: An image file; only of NIfTI other planes are looked at, by the header alone.
        sharp: As in `load_volume`.
    """
    import nibabel
    from nibabel.affines import voxel_sizes
    from nibabel.filebasedimages import ImageFileError

    from iconet.images.geometry import choose_slice_axis

    try:
        image = nibabel.load(path)
        spacing = voxel_sizes(image.affine)
        across = choose_slice_axis(image.shape, spacing, sharp, affine=image.affine)
    except (OSError, ValueError, ImageFileError, InputError):
        return [sharp]  # what is wrong is said by who reads it
    planes = [sharp]
    for axis in {0, 1, 2} - {across}:
        first, second = (spacing[other] for other in range(3) if other != axis)
        if max(first, second) < SQUARE * min(first, second):
            planes.append("ijk"[axis])
    return planes
