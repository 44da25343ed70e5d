"""Anatomy the right way up, with letters at the sides that say so."""

import itertools

import nibabel
import numpy as np
import pytest

from iconet.pictures.view import letters, upright, view_of

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


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_the_letters_say_where_the_picture_s_sides_point_to(codes):
    image = nibabel.Nifti1Image(RAS, np.diag([2.0, 3.0, 5.0, 1.0]))
    ornt = nibabel.orientations.axcodes2ornt(codes)
    affine = image.as_reoriented(
        nibabel.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], ornt)
    ).affine
    expected = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
    for across in range(3):
        view = view_of(affine, across)
        assert "".join(view.sides) == expected[view.name]


def test_an_oblique_direction_has_two_letters():
    assert letters(np.array([1.0, 0.1, 0])) == "R"
    assert letters(np.array([-0.5, 0.8, 0.0])) == "AL"
    turn = np.deg2rad(30)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    assert view_of(affine, 2).sides == ("RA", "LP", "AL", "PR")


def test_arrays_are_shown_as_they_are():
    image = np.arange(12.0).reshape(3, 4)
    view = view_of(None, 0)
    assert view.sides is None and view.name == "across i"
    assert np.array_equal(view.turn(image), image)
    assert view_of(None, 2, dimensions=2).name == ""
