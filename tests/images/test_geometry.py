from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from nibabel.nifti1 import Nifti1Extension

from iconet.errors import InputError
from iconet.images import (
    Scan,
    check_upscalable,
    choose_slice_axis,
    respaced_affine,
    scaled_affine,
    updated_header,
)
from iconet.images.geometry import check_affine

from .grids import affines, blocks_to_world

VOXELS = np.array([[0, 0, 0], [10, 20, 30], [255, 255, 100], [0, 511, 7]])
FACTORS = st.tuples(*[st.sampled_from([1, 2, 3, 4, 8])] * 3)


@given(affines(sheared=True), FACTORS)
def test_a_voxel_lies_in_the_middle_of_the_voxels_it_becomes(affine, factors):
    fine = scaled_affine(affine, factors)
    np.testing.assert_allclose(
        blocks_to_world(fine, factors, VOXELS), apply_affine(affine, VOXELS), atol=1e-9
    )


@given(affines(sheared=True), FACTORS)
def test_coarsening_undoes_refining(affine, factors):
    coarse = scaled_affine(scaled_affine(affine, factors), [1 / f for f in factors])
    np.testing.assert_allclose(coarse, affine, atol=1e-9)


@given(affines(sheared=True), st.floats(0.2, 5))
def test_the_field_of_view_stays(affine, factor):
    # Its corners are half a voxel outside the first and the last of 60 voxels.
    fine = scaled_affine(affine, (factor, 1, 1))
    for corner, corner_fine in ((-0.5, -0.5), (59.5, 60 * factor - 0.5)):
        np.testing.assert_allclose(
            apply_affine(affine, [corner, 3, 4]), apply_affine(fine, [corner_fine, 3, 4]), atol=1e-9
        )


@given(
    affines(sheared=True),
    st.tuples(*[st.integers(1, 600)] * 3),
    st.tuples(*[st.floats(0.05, 8)] * 3),
)
def test_any_spacing_keeps_the_centre_and_moves_both_edges_alike(affine, shape, steps):
    new_shape = [max(1, round(size / step)) for size, step in zip(shape, steps, strict=True)]
    new = respaced_affine(affine, shape, new_shape, steps)
    np.testing.assert_allclose(new[:3, :3], affine[:3, :3] * steps, atol=1e-12)
    middle, new_middle = (np.array([(np.array(n) - 1) / 2]) for n in (shape, new_shape))
    np.testing.assert_allclose(
        apply_affine(new, new_middle), apply_affine(affine, middle), atol=1e-4
    )
    # A voxel too few or too many is at most half a one at both edges together.
    first = np.linalg.inv(affine) @ new @ [-0.5, -0.5, -0.5, 1]
    assert (np.abs(first[:3] + 0.5)[np.array(new_shape) > 1] <= 0.2501 * np.max(steps)).all()


@given(affines(sheared=True), FACTORS)
def test_whole_factors_are_a_special_case_of_any_spacing(affine, factors):
    shape = np.array([30, 20, 7])
    np.testing.assert_allclose(
        respaced_affine(affine, shape, shape * factors, 1 / np.array(factors)),
        scaled_affine(affine, factors),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [
        ((256, 256, 30), (0.5, 0.5, 4.0), 2),
        ((30, 256, 256), (4.0, 0.5, 0.5), 0),
        ((200, 40, 64), (1.0, 6.0, 1.0), 1),
        ((256, 300, 400), (3.0, 1.0, 1.0), 0),  # the thick axis, though others have fewer voxels
        ((150, 179, 69), (1.0, 1.0, 1.4), 2),
        ((512, 512, 600), (0.8, 0.8, 1.0), 2),  # pixels are square, though there are fewer
        ((176, 256, 256), (1.0, 1.0, 1.0), 0),
        ((64, 64, 64), (1.0, 1.0, 1.0), 2),  # ties: the last
        ((64, 64, 80), (1.0, 1.0, 1.0), 1),
        ((1, 64, 64), (1.0, 1.0, 9.0), 0),  # a single slice, however thick the voxels
        ((128, 128, 150), (2.0, 2.0, 1.0), 2),  # the plane that lost resolution
        ((68, 80, 69), (2.19, 2.19, 1.99), 2),  # the same, hardly thinner than its pixels
        ((192, 256, 48), (0.9, 0.94, 0.94), 2),  # but this is an isotropic slab
        ((64, 64, 20, 300), (3.0, 3.0, 3.0), 2),
        ((64, 80), (1.0, 1.0), 2),
    ],
)
def test_the_sharp_plane_is_found(shape, spacing, axis):
    assert choose_slice_axis(shape, spacing) == axis


@pytest.mark.parametrize(("axes", "plane", "slice_axis"), [
    ("RAS", "sagittal", 0), ("RAS", "coronal", 1), ("RAS", "axial", 2),
    ("LPI", "sagittal", 0), ("LPI", "coronal", 1), ("LPI", "axial", 2),
    ("PSR", "sagittal", 2), ("PSR", "coronal", 0), ("PSR", "axial", 1),
    ("SAL", "sagittal", 2), ("SAL", "coronal", 1), ("SAL", "axial", 0),
])  # fmt: skip
def test_planes_are_named_by_anatomy(axes, plane, slice_axis):
    towards = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1)}
    towards |= {"L": (-1, 0, 0), "P": (0, -1, 0), "I": (0, 0, -1)}
    affine = nibabel.affines.from_matvec(np.transpose([towards[axis] for axis in axes]), [1, 2, 3])
    assert nibabel.aff2axcodes(affine) == tuple(axes)
    tilted = np.diag([1, 1, 1, 1.0])
    tilted[:3, :3] = [[1, 0.2, 0.1], [-0.2, 1, -0.15], [-0.1, 0.15, 1]]
    for oblique in (np.eye(4), tilted):
        chosen = choose_slice_axis((20, 30, 40), (1, 1, 1), plane, affine=oblique @ affine)
        assert chosen == slice_axis


def test_planes_are_named_by_axis():
    assert [choose_slice_axis((9, 9, 9), (1, 1, 5), name) for name in "ijk"] == [0, 1, 2]


def test_planes_that_do_not_exist_are_refused():
    for shape in ((9, 9, 9), (9, 9)):
        with pytest.raises(InputError, match=r"lateral.*choose auto"):
            choose_slice_axis(shape, (1, 1, 1), "lateral")
    with pytest.raises(InputError, match=r"axial.*use i, j or k"):
        choose_slice_axis((9, 9, 9), (1, 1, 1), "axial")


def test_slices_must_not_be_lines():
    line = Scan(np.zeros((64, 1, 20), np.float32), path=Path("line.nii"))
    with pytest.raises(InputError, match=r"line\.nii: 1 voxel wide along j"):
        check_upscalable(line, 2)
    check_upscalable(line, 1)
    check_upscalable(Scan(np.zeros((64, 2, 1), np.float32)), 2)
    check_upscalable(Scan(np.zeros((64, 2, 20, 1), np.float32)), 2)
    with pytest.raises(InputError, match="along i"):
        check_upscalable(Scan(np.zeros((1, 64), np.float32)), 2)


@given(affines(sheared=True))
def test_sound_affines_pass(affine):
    check_affine(affine, "a")


@pytest.mark.parametrize("column", [[0, 0, 0], [1, 1, 0], [np.nan, 0, 1], [np.inf, 0, 1]])
def test_affines_to_nowhere_are_refused(column):
    affine = np.eye(4)
    affine[:3, 1], affine[:3, 2] = [1, 1, 0], column
    with pytest.raises(InputError, match=r"a\.nii: the affine .* repair"):
        check_affine(affine, "a.nii")


def a_header(affine=None, shape=(10, 20, 30, 5)):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header["pixdim"][4] = 2.5
    affine = np.diag([-2, 3, 4, 1.0]) if affine is None else affine
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=4)
    header.set_xyzt_units("mm", "sec")
    return header


def refined(header, factors):
    affine = scaled_affine(header.get_best_affine(), factors)
    spatial = [n * f for n, f in zip(header.get_data_shape(), factors, strict=False)]
    return updated_header(header, affine, (*spatial, *header.get_data_shape()[3:]))


def test_what_the_header_says_about_the_scan_survives():
    header = a_header()
    header["descrip"], header["aux_file"] = b"FLAIR 3T", b"none"
    header["cal_min"], header["cal_max"] = 3, 800
    header["toffset"] = 1.5
    header.set_intent("t test", (12,), "group")
    header.set_dim_info(freq=1, phase=0, slice=2)
    new = refined(header, (2, 2, 1))
    changed = {"dim", "pixdim", "qoffset_x", "qoffset_y", "srow_x", "srow_y"}
    for key in header.keys():
        assert (key in changed) == (new[key].tobytes() != header[key].tobytes()), key
    assert new.get_data_shape() == (20, 40, 30, 5)
    assert new.get_zooms() == (1.0, 1.5, 4.0, 2.5)


@given(affines(sheared=True), affines(), FACTORS)
def test_qform_and_sform_move_each_by_itself(sform, qform, factors):
    header = a_header()
    header.set_qform(qform, code=1)
    header.set_sform(sform, code=2)
    new = refined(header, factors)
    assert (new["qform_code"], new["sform_code"]) == (1, 2)
    for old, moved in (
        (header.get_qform(), new.get_qform()),
        (header.get_sform(), new.get_sform()),
    ):
        np.testing.assert_allclose(
            blocks_to_world(moved, factors, VOXELS[:2]), apply_affine(old, VOXELS[:2]), atol=1e-4
        )


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (3, 4)])
def test_codes_stay_and_the_affine_readers_use_moves(codes):
    header = a_header()
    header["qform_code"], header["sform_code"] = codes
    new = refined(header, (4, 4, 1))
    assert (new["qform_code"], new["sform_code"]) == codes
    expected = scaled_affine(header.get_best_affine(), (4, 4, 1))
    np.testing.assert_allclose(new.get_best_affine(), expected, atol=1e-5)


def test_near_a_half_turn_the_qform_keeps_its_quaternion():
    # The fourth component is the root of what the others leave to 1: rounding is magnified there.
    turn = nibabel.eulerangles.euler2mat(z=np.pi - 1e-3, y=0.02)
    affine = nibabel.affines.from_matvec(turn * 0.5, [120, -90, 30])
    header = a_header(affine)
    header["sform_code"] = 0
    new, corner = refined(header, (2, 2, 1)), [[511, 511, 0]]
    np.testing.assert_allclose(
        blocks_to_world(new.get_qform(), (2, 2, 1), np.array(corner)),
        apply_affine(header.get_qform(), corner),
        atol=1e-4,
    )


def test_a_broken_quaternion_beside_an_sform_is_dropped():
    header = a_header()
    header["quatern_b"] = 3
    new = refined(header, (2, 2, 1))
    assert (new["qform_code"], new["sform_code"]) == (0, 4)
    np.testing.assert_allclose(new.get_zooms()[:3], (1, 1.5, 4))


def test_slice_timing_stays_with_the_slices_and_goes_with_them():
    header = a_header()
    header.set_dim_info(slice=2)
    header["slice_code"], header["slice_end"], header["slice_duration"] = 3, 29, 0.08
    kept, gone = refined(header, (2, 2, 1)), refined(header, (2, 1, 2))
    assert (kept["slice_code"], kept["slice_end"]) == (3, 29)
    assert kept["slice_duration"] == header["slice_duration"]
    assert not any(gone[key] for key in ("slice_code", "slice_end", "slice_duration"))


def test_only_comments_of_the_extensions_stay():
    header = a_header()
    header.extensions.append(Nifti1Extension("comment", b"from scanner 7"))
    header.extensions.append(Nifti1Extension("afni", b"<IJK_TO_DICOM_REAL/>"))
    kept = [e.get_content() for e in refined(header, (2, 2, 1)).extensions]
    assert [bytes(c).rstrip(b"\0") for c in kept] == [b"from scanner 7"]
    assert len(header.extensions) == 2


def test_too_many_voxels_for_nifti_1_are_refused_and_fit_nifti_2():
    header = a_header(shape=(20_000, 4, 2))
    with pytest.raises(InputError, match="NIfTI-1"):
        refined(header, (2, 2, 1))
    larger = nibabel.Nifti2Header.from_header(header)
    assert refined(larger, (2, 2, 1)).get_data_shape() == (40_000, 8, 2)


def test_other_axes_are_not_silently_accepted():
    header = a_header()
    with pytest.raises(ValueError, match="axes"):
        updated_header(header, np.diag([2, 3, 4, 1.0]), (10, 20, 30, 5))
