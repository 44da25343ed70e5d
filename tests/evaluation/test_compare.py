"""Comparing two files: the numbers of the metrics, and refusal of what does not match."""

import json

import nibabel
import numpy as np
import pytest

from iconet.errors import InputError
from iconet.evaluation.compare import compare_files
from iconet.evaluation.metrics import CONVENTION, evaluate

AFFINE = np.array([[0, 0, 2.0, -3], [-1, 0.1, 0, 4], [0, 1, 0.2, 5], [0, 0, 0, 1]])


def save(path, array, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


@pytest.fixture
def pair(tmp_path):
    generator = np.random.default_rng(0)
    reference = generator.uniform(10, 100, (12, 14, 5)).astype(np.float32)
    prediction = reference + generator.normal(0, 3, reference.shape).astype(np.float32)
    return save(tmp_path / "p.nii.gz", prediction), save(tmp_path / "r.nii.gz", reference)


def test_the_metrics_are_those_of_the_slices_across_the_slice_axis(pair):
    result = compare_files(*pair)
    stacks = [np.moveaxis(nibabel.load(path).get_fdata(), 2, 0) for path in pair]
    assert result.metrics == evaluate(*stacks)
    assert result.slice_axis == 2


def test_text_and_json_state_numbers_and_convention(pair):
    result = compare_files(*pair)
    assert f"{result.metrics.psnr:.6g}" in str(result)
    assert CONVENTION in str(result)
    content = json.loads(result.to_json())
    assert content["ssim_foreground"] == result.metrics.ssim_foreground
    assert content["convention"] == CONVENTION


def test_equal_files_have_no_psnr_in_json(pair):
    assert json.loads(compare_files(pair[1], pair[1]).to_json())["psnr"] is None


def test_a_series_is_the_stack_of_its_volumes_slices(tmp_path):
    generator = np.random.default_rng(1)
    reference = generator.uniform(1, 9, (9, 10, 4, 3)).astype(np.float32)
    prediction = reference + generator.normal(0, 1, reference.shape).astype(np.float32)
    result = compare_files(
        save(tmp_path / "p.nii", prediction), save(tmp_path / "r.nii", reference)
    )
    stacks = [
        np.stack([array[:, :, k, t] for t in range(3) for k in range(4)])
        for array in (prediction, reference)
    ]
    assert vars(result.metrics) == pytest.approx(vars(evaluate(*stacks)))


def test_pictures_are_one_slice(tmp_path):
    picture = np.random.default_rng(2).uniform(0, 9, (20, 21)).astype(np.float32)
    np.save(tmp_path / "r.npy", picture)
    np.save(tmp_path / "p.npy", picture + 1)
    result = compare_files(tmp_path / "p.npy", tmp_path / "r.npy")
    assert result.metrics.psnr == pytest.approx(20 * np.log10(picture.max()), rel=1e-5)


def test_other_shapes_and_places_are_refused_with_both_names(pair, tmp_path):
    array = nibabel.load(pair[1]).get_fdata(dtype=np.float32)
    cut = save(tmp_path / "cut.nii", array[:-8])
    with pytest.raises(InputError, match=r"cut\.nii has 4 x 14 x 5 .*r\.nii\.gz has 12 x 14 x 5"):
        compare_files(cut, pair[1])
    half_a_voxel = AFFINE.copy()
    half_a_voxel[:3, 3] += AFFINE[:3, 0] / 2
    moved = save(tmp_path / "moved.nii", array, half_a_voxel)
    with pytest.raises(InputError, match=r"moved\.nii.*0\.5 mm.*affines"):
        compare_files(moved, pair[1])
    turned = AFFINE.copy()
    turned[:3, 0] *= -1
    turned[:3, 3] += AFFINE[:3, 0] * 11  # the first voxels coincide with the last ones
    with pytest.raises(InputError, match="affines"):
        compare_files(save(tmp_path / "turned.nii", array, turned), pair[1])


def test_a_reference_without_signal_is_refused_by_name(tmp_path):
    empty = save(tmp_path / "empty.nii", np.zeros((9, 9, 9), np.float32))
    with pytest.raises(InputError, match=r"empty\.nii.*above zero"):
        compare_files(empty, empty)


def test_voxels_that_degrading_dropped_are_left_out_and_named(tmp_path):
    generator = np.random.default_rng(1)
    reference = generator.uniform(10, 100, (13, 15, 5)).astype(np.float32)
    prediction = reference[:12, :14] + 1
    paths = save(tmp_path / "p.nii.gz", prediction), save(tmp_path / "r.nii.gz", reference)
    result = compare_files(*paths)
    expected = evaluate(np.moveaxis(prediction, 2, 0), np.moveaxis(reference[:12, :14], 2, 0))
    assert result.metrics == expected
    assert "last 1 x 1 x 0 voxels" in str(result)
    assert json.loads(result.to_json())["reference_voxels_left_out"] == [1, 1, 0]


@pytest.mark.parametrize("shape", [(20, 14, 5), (11, 14, 5), (12, 14, 5, 2)])
def test_more_than_dropped_voxels_is_another_grid(pair, tmp_path, shape):
    other = save(tmp_path / "o.nii.gz", np.ones(shape, np.float32))
    with pytest.raises(InputError, match="same grid"):
        compare_files(pair[0], other)


def test_nan_is_refused_by_name(pair, tmp_path):
    array = nibabel.load(pair[1]).get_fdata(dtype=np.float32)
    array[3, 3, 3] = np.nan
    holed = save(tmp_path / "holed.nii", array)
    for files in ((holed, pair[1]), (pair[0], holed)):
        with pytest.raises(InputError, match=r"holed\.nii: 1 voxels are NaN"):
            compare_files(*files)


@pytest.mark.parametrize(
    ("name", "said"),
    [("a_ph.nii.gz", "a phase image"), ("a_dseg.nii.gz", "labels"), ("a_probseg.nii.gz", "probab")],
)
def test_what_is_no_image_is_not_measured_as_one(tmp_path, name, said):
    array = np.random.default_rng(0).integers(0, 4, (12, 14, 5)).astype(np.uint8)
    path = save(tmp_path / name, array)
    with pytest.raises(InputError, match=f"{said}.*cannot be measured by PSNR and SSIM; ") as error:
        compare_files(path, path)
    assert "\n" not in str(error.value)
    assert compare_files(path, path, kind="mr").metrics.ssim == pytest.approx(1)
