import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

import iconet
from iconet.errors import InputError
from iconet.images import memory
from iconet.upscaling import upscale
from iconet.upscaling.interpolation import interpolate

from .conftest import half_waves

ANGLE = np.deg2rad(25)
ROTATION = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]]
) @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])


def affine(columns, origin=(-91.3, 24.7, 60.1)):
    matrix = np.eye(4)
    matrix[:3, :3] = columns
    matrix[:3, 3] = origin
    return matrix


AFFINES = {
    "plain": affine(np.diag([1, 1, 1])),
    "anisotropic": affine(np.diag([0.9, 1.1, 4])),
    "flipped": affine(np.diag([-1.2, 1.2, -3])),
    "permuted": affine(np.array([[0, 0, 5], [-0.8, 0, 0], [0, 0.8, 0]])),
    "oblique": affine(ROTATION @ np.diag([0.7, 0.7, 3])),
    "sheared": affine(np.array([[1, 0.2, 0.3], [0, 1.1, 0.4], [0.1, 0, 3.3]])),
}
SHAPE = (24, 22, 9)


def value_at(world, matrix):
    """The test image at points (3, ...) of the world, a closed form; stored on the grid given."""
    voxels = np.tensordot(np.linalg.inv(matrix), [*world, np.ones(world[0].shape)], 1)
    return half_waves(voxels[:3], SHAPE)


def world_of(image):
    """(3, I, J, K): where its voxels are."""
    index = np.indices(image.shape)
    return np.tensordot(image.affine, [*index, np.ones(index[0].shape)], 1)[:3]


@pytest.mark.parametrize("name", AFFINES)
def test_every_voxel_stays_where_it_was_in_the_world(cosines, tmp_path, name):
    matrix = AFFINES[name]
    low = half_waves(np.indices(SHAPE), SHAPE).astype(np.float32)
    nibabel.Nifti1Image(low, matrix).to_filename(tmp_path / "low.nii.gz")
    image = upscale(tmp_path / "low.nii.gz", cosines)
    assert image.shape == (48, 44, 9)
    # A shift by 1e-4 voxels changes the steepest part by 5e-5.
    np.testing.assert_allclose(image.get_fdata(), value_at(world_of(image), matrix), atol=3e-5)
    # The corners of the field of view, where a wrong origin or step adds up.
    for corner in np.ndindex(2, 2, 2):
        old = matrix @ [*(np.array(corner) * SHAPE - 0.5), 1]
        new = image.affine @ [*(np.array(corner) * image.shape - 0.5), 1]
        np.testing.assert_allclose(new, old, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in AFFINES if name != "sheared"])
def test_simpleitk_finds_every_voxel_at_the_same_place(cosines, tmp_path, name):
    matrix = AFFINES[name]
    low = nibabel.Nifti1Image(half_waves(np.indices(SHAPE), SHAPE).astype(np.float32), matrix)
    upscale(low, cosines).to_filename(tmp_path / "high.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "high.nii.gz"))
    assert image.GetSize() == (48, 44, 9)
    for index in [(6, 6, 0), (40, 7, 8), (20, 37, 4), (33, 21, 5)]:
        left, posterior, superior = image.TransformIndexToPhysicalPoint(index)
        expected = value_at(np.array([-left, -posterior, superior]), matrix)
        assert image.GetPixel(index) == pytest.approx(expected, abs=3e-5)


@pytest.mark.parametrize(
    ("plane", "shape"),
    [
        ("auto", (40, 44, 18)),
        ("i", (20, 44, 36)),
        ("j", (40, 22, 36)),
        ("k", (40, 44, 18)),
        ("axial", (40, 22, 36)),
        ("coronal", (20, 44, 36)),
        ("sagittal", (40, 44, 18)),
    ],
)
def test_plane_chooses_the_axis_that_keeps_its_size(linear, plane, shape):
    matrix = AFFINES["permuted"]
    image = upscale(
        nibabel.Nifti1Image(np.ones((20, 22, 18), np.float32), matrix), linear, plane=plane
    )
    assert image.shape == shape


def test_series_are_upscaled_volume_by_volume(linear):
    series = np.random.default_rng(0).gamma(2, 50, (18, 20, 5, 3)).astype(np.float32)
    series[..., 2] *= 100
    seen = []
    together = upscale(series, linear, progress=lambda *step: seen.append(step))
    assert together.shape == (36, 40, 5, 3)
    for volume in range(3):
        np.testing.assert_array_equal(together[..., volume], upscale(series[..., volume], linear))
    assert seen[-1] == (15, 15) and seen == sorted(seen)


def test_each_volume_of_a_series_has_its_own_intensity_scale(wide):
    """A network that is far from linear gives both the same detail."""
    volume = np.random.default_rng(0).gamma(2, 50, (18, 20, 5)).astype(np.float32)
    made = upscale(np.stack([volume, 100 * volume], axis=-1), wide)
    np.testing.assert_allclose(made[..., 1] / 100, made[..., 0], atol=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_integers_stay_integers(linear, dtype):
    array = np.random.default_rng(0).integers(0, 100, (16, 18, 3)).astype(dtype)
    out = upscale(array, linear)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, np.rint(upscale(array.astype(np.float32), linear)))


def test_integers_saturate_instead_of_wrapping(linear, monkeypatch):
    forward = type(linear).forward

    def overshooting(self, lr, intensity=None):
        output = forward(self, lr, intensity)
        output.image = (output.image - 100) * 3
        return output

    monkeypatch.setattr(type(linear), "forward", overshooting)
    array = np.zeros((1, 16, 16), np.uint8)
    array[0, :8] = 255
    with pytest.warns(UserWarning, match="looks like labels"):
        out = upscale(array, linear)
    assert out.max() == 255 and out.min() == 0 and set(np.unique(out[0, :8])) == {255}


def test_floats_keep_negative_values(linear):
    array = np.random.default_rng(0).normal(-500, 300, (16, 18, 4))
    out = upscale(array, linear)
    assert out.dtype == np.float32
    assert out.min() < -800 and out.mean() == pytest.approx(array.mean(), abs=20)


@pytest.mark.parametrize("shape", [(16, 20), (20, 16, 5), (20, 16, 5, 2)])
def test_a_constant_passes_through(linear, shape):
    out = upscale(np.full(shape, -3.5), linear)
    assert (out == np.float32(-3.5)).all() and not linear.calls


def test_a_two_dimensional_nifti_stays_two_dimensional(linear):
    image = upscale(nibabel.Nifti1Image(np.eye(20, dtype=np.float32), AFFINES["oblique"]), linear)
    assert image.shape == (40, 40)


def test_header_fields_survive(linear, tmp_path):
    image = nibabel.Nifti1Image(
        np.arange(20 * 20 * 3 * 2, dtype=np.int16).reshape(20, 20, 3, 2), AFFINES["oblique"]
    )
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    image.header["descrip"] = b"T2* run 3"
    image.set_qform(image.affine, code=1)
    image.set_sform(image.affine, code=4)
    image.to_filename(tmp_path / "low.nii")
    header = upscale(tmp_path / "low.nii", linear).header
    assert header.get_xyzt_units() == ("mm", "sec")
    assert header["pixdim"][4] == 2.5
    assert header["descrip"].item().startswith(b"T2* run 3; iconet ")
    assert (header["qform_code"], header["sform_code"]) == (1, 4)
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-4)


@pytest.mark.parametrize(
    "array",
    [
        np.full((16, 16), np.nan),
        np.full((16, 16), np.inf),
        np.ones((16, 16), complex),
        np.ones(16),
        np.ones((2, 3, 4, 5, 6)),
        np.ones((16, 1)),
        np.ones((1, 16, 1)),
        np.array([["a", "b"], ["c", "d"]]),
    ],
    ids=["nan", "inf", "complex", "1-D", "5-D", "narrow", "line", "text"],
)
def test_refuses_arrays_that_are_no_image(linear, array):
    with pytest.raises(InputError) as error:
        upscale(array, linear)
    assert "\n" not in str(error.value)


def test_says_before_allocating_that_memory_is_short(linear, monkeypatch):
    array = np.random.default_rng(0).normal(size=(64, 64, 4))
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000_000)
    with pytest.raises(InputError, match=r"needs .* GB of memory"):
        upscale(array, linear)
    assert not linear.calls


def test_says_before_computing_that_the_result_is_too_wide_for_nifti_1(linear):
    wide = np.random.default_rng(0).random((16_400, 16, 1), np.float32)
    with pytest.raises(InputError, match=r"^the given image: .* NIfTI-2"):
        upscale(nibabel.Nifti1Image(wide, np.eye(4)), linear)
    assert not linear.calls
    assert upscale(nibabel.Nifti2Image(wide, np.eye(4)), linear).shape == (32_800, 32, 1)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_says_when_the_device_runs_out_of_memory(linear, monkeypatch, error):
    def forward(self, lr, intensity=None):
        raise error

    monkeypatch.setattr(type(linear), "forward", forward)
    with pytest.raises(InputError, match="--tile"):
        upscale(np.eye(20), linear, device="cpu")


def hounsfield():
    """A head in air, (24, 22, 5)."""
    head = np.hypot(*np.ogrid[-1:1:24j, -1:1:22j])[..., None] < np.full(5, 0.7)
    return np.where(head, 40, -1000) + np.random.default_rng(0).normal(0, 10, (24, 22, 5))


@pytest.mark.parametrize("volumes", [1, 2])
def test_across_slices_hounsfield_units_are_interpolated_with_a_warning(volumes):
    array = np.stack([hounsfield()] * volumes, axis=-1) if volumes > 1 else hounsfield()
    with pytest.warns(UserWarning) as said:
        made = upscale(array, axes="k")
    assert [str(warning.message) for warning in said] == [
        "the given image: CT, which no shipped model enlarges along these axes so many times:"
        " enlarged by interpolation; --model mri-x2 runs one all the same"
    ]
    assert said[0].filename == __file__
    expected = np.empty((24, 22, 10), np.float32)
    interpolate(hounsfield().astype(np.float32), expected, {2: 0.5})
    for volume in np.moveaxis(made, -1, 0) if volumes > 1 else [made]:
        np.testing.assert_array_equal(volume, expected)


def test_a_model_that_was_named_runs_on_hounsfield_units_and_is_warned_of(linear):
    linear.metadata = {"name": "mine", "purpose": "structural MRI"}
    image = nibabel.Nifti1Image(hounsfield(), np.diag([1.0, 1, 3, 1]))
    with pytest.warns(UserWarning, match="CT, for which mine was not trained"):
        assert upscale(image, linear).shape == (48, 44, 5)
    assert linear.calls
    linear.metadata = {"name": "mine", "purpose": "CT of the head"}
    upscale(image, linear)  # pytest makes an error of a warning


def test_is_the_public_function():
    assert iconet.upscale is upscale
