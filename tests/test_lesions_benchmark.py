"""Of benchmarks/lesions.py: masks lie where the lesions are."""

import numpy as np
import SimpleITK

from iconet.images import Scan

from .load_tool import load_tool


def test_masks_of_the_common_space_come_onto_a_scan_as_itk_would_bring_them(tmp_path):
    """SimpleITK writes the transform and resamples the mask; sides are no multiples of 8."""
    benchmark = load_tool("../benchmarks/lesions")
    mask = np.zeros((40, 44, 9), np.uint8)
    mask[15:24, 20:31, 3:7] = 1
    tilted = np.array([[-1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]])
    affine, own = np.eye(4), np.diag([-1, 1.2, 3, 1.0])
    affine[:3, :3], affine[:3, 3] = tilted * [1.1, 1, 3], [20, -25, -10]
    own[:3, 3] = [17, -28, -9]
    scan = Scan(np.ones((36, 45, 8), np.float32), affine=own)
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix([0.99, -0.1, 0, 0.1, 0.99, 0, 0, 0, 1.02])
    transform.SetTranslation([3.0, -2.0, 1.5])
    transform.SetCenter([1.0, 7.0, -4.0])
    path = tmp_path / "FLAIR_to_common_space.txt"
    SimpleITK.WriteTransform(transform, str(path))
    places, pixels = benchmark.places_of(scan, (8, 32, 40))
    assert pixels == 1
    found = benchmark.at(Scan(mask, affine=affine), benchmark.to_common_space(path, places))
    wanted = SimpleITK.Resample(
        as_itk(mask, affine),
        as_itk(scan.array, scan.affine),
        transform.GetInverse(),
        SimpleITK.sitkNearestNeighbor,
    )
    wanted = SimpleITK.GetArrayFromImage(wanted).transpose(0, 2, 1)[:, 2:34, 2:42]
    assert found.sum() > 200
    assert (found != wanted).mean() < 1e-3  # halves may be rounded either way


def as_itk(array: np.ndarray, affine: np.ndarray) -> SimpleITK.Image:
    lps = np.diag([-1, -1, 1, 1]) @ affine
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(sizes.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / sizes).ravel().tolist())
    return image
