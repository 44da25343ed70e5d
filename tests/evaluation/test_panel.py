"""Pictures: anatomy the right way up, and a file with the right proportions."""

import itertools

import nibabel
import numpy as np
import pytest
from PIL import Image

from iconet.evaluation.panel import panel, upright

# A 1 mm RAS+ volume whose value tells the place: 100 x + 10 y + z, in voxels from the corner.
RAS = np.add.outer(np.add.outer(100.0 * np.arange(4), 10.0 * np.arange(5)), np.arange(6.0))
ORIENTATIONS = [
    "".join(c)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for c in itertools.product(*axes)
]


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("plane", ["sagittal", "coronal", "axial"])
def test_every_voxel_order_shows_the_same_picture(codes, plane):
    image = nibabel.Nifti1Image(RAS, np.diag([2.0, 3.0, 5.0, 1.0]))
    stored = image.as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(codes)
        )
    )
    world = ["sagittal", "coronal", "axial"].index(plane)
    axis = int(np.flatnonzero(nibabel.io_orientation(stored.affine)[:, 0] == world)[0])
    middle = RAS.shape[world] // 2
    forwards = nibabel.io_orientation(stored.affine)[axis, 1] > 0
    index = middle if forwards else RAS.shape[world] - 1 - middle
    shown, aspect = upright(stored.get_fdata(), stored.affine, axis, index)
    # First row on top: superior (or anterior); first column: anterior, or the patient's right.
    expected = {
        "sagittal": RAS[middle, ::-1, ::-1].T,
        "coronal": RAS[::-1, middle, ::-1].T,
        "axial": RAS[::-1, ::-1, middle].T,
    }[plane]
    assert np.array_equal(shown, expected)
    assert aspect == pytest.approx({"sagittal": 5 / 3, "coronal": 5 / 2, "axial": 3 / 2}[plane])


@pytest.mark.parametrize("background", [True, False])
def test_a_panel_is_written_with_one_column_an_image_and_the_truth(tmp_path, background):
    generator = np.random.default_rng(0)
    truth = generator.uniform(50, 100, (40, 32))
    if background:
        truth[:, :6] = 0
    images = {"low": truth + 5, "better": truth + 1}
    sizes = []
    for count in (1, 2):
        path = tmp_path / f"{count}.png"
        panel(path, dict(list(images.items())[:count]), truth, pixel_aspect=1.5)
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
            sizes.append(picture.size)
    (narrow, height), (wide, same_height) = sizes
    assert height == same_height
    assert wide / narrow == pytest.approx(3 / 2, abs=0.05)


def test_an_empty_slice_still_makes_a_panel(tmp_path):
    empty = np.zeros((32, 32))
    panel(tmp_path / "empty.png", {"same": empty}, empty)
    assert (tmp_path / "empty.png").stat().st_size > 0
