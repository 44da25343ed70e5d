"""The grid asked for: what is planned, and that every voxel is where it says it is."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from iconet import cli
from iconet.errors import InputError
from iconet.images import Scan
from iconet.study import run_one
from iconet.upscaling import upscale
from iconet.upscaling.models import Models, Step
from iconet.upscaling.options import Options
from iconet.upscaling.plan import plan_grid
from iconet.zoo.model import Model, open_model

from .conftest import Cosines, Linear, half_waves, package

THICK = np.diag([0.9, 0.9, 5, 1])


def scan(shape=(40, 36, 12), affine=THICK):
    return Scan(np.zeros(shape, np.float32), affine)


def plan(options, *, models=None, **changes):
    return plan_grid(scan(**changes), models or package(), options)


@pytest.mark.parametrize(
    ("wanted", "steps", "shape"),
    [
        (Options(), [Step((0, 1), 2)], (80, 72, 12)),
        (Options(axes="k"), [Step((2,), 2)], (40, 36, 24)),
        (Options(axes="ijk"), [Step((2,), 2), Step((0, 1), 2)], (80, 72, 24)),
        (Options(axes="jk"), [Step((1, 2), 2)], (40, 72, 24)),
        # 5 mm to 0.9 mm takes 8 times as many slices.
        (Options(isotropic=True), [Step((2,), 4), Step((2,), 2)], (40, 36, 67)),
        (Options(spacing=2.5), [Step((2,), 2)], (14, 13, 24)),
        (Options(spacing="0.9x0.9x1.25"), [Step((2,), 4)], (40, 36, 48)),
        (Options(axes="ij", spacing=0.45), [Step((0, 1), 2)], (80, 72, 12)),
        (Options(spacing="0.45"), [Step((2,), 4), Step((2,), 4), Step((0, 1), 2)], (80, 72, 133)),
        # The plane's two axes go together as far as both need it.
        (Options(spacing=(0.45, 0.225, 5)), [Step((1,), 2), Step((0, 1), 2)], (80, 144, 12)),
        (Options(spacing=(0.9, 0.45, 5)), [Step((1,), 2)], (40, 72, 12)),
    ],
)
def test_steps_lead_to_the_grid(wanted, steps, shape):
    planned = plan(wanted)
    assert list(planned.steps) == steps
    assert planned.shape == shape


@pytest.mark.parametrize(
    ("acquired", "steps"), [("40x36", [4]), ("20x18", [2, 2, 2])], ids=["window", "zero-filled"]
)
def test_one_network_enlarges_4x_unless_the_scanner_interpolated(acquired, steps):
    options = Options(window="hamming", acquired=acquired)
    planned = plan(options, models=Models(open_model("mri-x4"), only=False))
    assert [step.factor for step in planned.steps] == steps


def test_a_model_of_ones_own_takes_every_step_as_often_as_needed():
    planned = plan(Options(isotropic=True), models=Models(Model.of(Linear(2))))
    assert list(planned.steps) == [Step((2,), 2)] * 3
    planned = plan(Options(axes="k", spacing=2.5), models=Models(Model.of(Linear(4))))
    assert list(planned.steps) == [Step((2,), 4)]
    assert planned.resampled == [2]  # 4 times is more than was asked for


def one_axis():
    network = Linear(2)
    network.metadata = {"recipe": '{"task": {"kind": "through-plane"}}'}
    return Models(Model.of(network))


def test_a_model_for_one_axis_is_for_the_one_across_thick_slices():
    assert list(plan(Options(), models=one_axis()).steps) == [Step((2,), 2)]
    assert list(plan(Options(axes="i"), models=one_axis()).steps) == [Step((0,), 2)]
    with pytest.raises(InputError, match="one axis only"):
        plan(Options(axes="ij"), models=one_axis())
    with pytest.raises(InputError, match="is one slice"):
        plan(Options(), models=one_axis(), shape=(30, 30))


def test_rounding_in_a_header_is_no_reason_to_resample():
    affine = np.diag([0.8999999, 0.9000001, 4.5, 1])
    planned = plan(Options(spacing=0.9), affine=affine)
    assert planned.ratios[:2] == (1, 1)
    assert planned.resampled == [2]  # 8 times is more than 5 times


def test_a_single_slice_stays_one_unless_it_is_named():
    planned = plan(Options(spacing=0.45), shape=(40, 36, 1))
    assert planned.shape == (80, 72, 1) and planned.ratios[2] == 1
    with pytest.raises(InputError, match="too narrow to become finer along k"):
        plan(Options(axes="k"), shape=(40, 36, 1))


@pytest.mark.parametrize("spacing", [6.0, "0.9x0.9x5"])
def test_a_spacing_that_makes_nothing_finer_is_refused(spacing):
    with pytest.raises(InputError, match=r"voxels of 0.9 x 0.9 x 5 mm have nothing to gain"):
        plan(Options(spacing=spacing))


def test_pixels_have_no_millimetres():
    with pytest.raises(InputError, match="no spacing in mm"):
        plan(Options(spacing=1), affine=None)
    with pytest.raises(InputError, match="without an axis k"):
        plan(Options(axes="k"), shape=(30, 30), affine=None)
    assert plan(Options(axes="i"), shape=(30, 30), affine=None).shape == (60, 30)


@st.composite
def geometries(draw):
    """An oblique, flipped, anisotropic affine, and new over old spacings with one below 1."""
    turn = Rotation.from_euler("xyz", [draw(st.floats(-180, 180)) for _ in range(3)], degrees=True)
    spacing = [draw(st.floats(0.3, 6)) * draw(st.sampled_from([-1, 1])) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ np.diag(spacing)
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    ratios = [draw(st.sampled_from([1, 0.5]) | st.floats(0.2, 2.5)) for _ in range(3)]
    assume(min(ratios) < 0.999)
    return affine, np.array(ratios)


# Beside a voxel of 5 mm, single precision moves one of 0.3 mm by more than a millionth of it.
OBLIQUE = [[-1, 0, 0, 0], [0, -4.92403877, 0.05426506, 0], [0, -0.86824089, -0.30775242, 0]]


@given(geometries())
@example((np.array([*OBLIQUE, [0, 0, 0, 1]]), np.array([1, 2.3515625, 0.5])))
def test_every_voxel_is_where_simpleitk_finds_it(tmp_path, geometry):
    affine, ratios = geometry
    shape = np.array((16, 18, 17))
    values = 100 * half_waves(np.indices(shape), shape)
    low = nibabel.Nifti1Image(values.astype(np.float32), affine)
    wanted = np.linalg.norm(affine[:3, :3], axis=0) * ratios
    upscale(low, Cosines(), spacing=wanted.tolist()).to_filename(tmp_path / "fine.nii")
    image = sitk.ReadImage(str(tmp_path / "fine.nii"))
    size = np.array(image.GetSize())
    np.testing.assert_allclose(image.GetSpacing(), wanted, rtol=2e-5)
    # As many voxels as fit best, about the same centre.
    assert (np.abs(size - shape / ratios) <= 0.5 + 1e-3).all()

    def world(points):
        ras = [image.TransformContinuousIndexToPhysicalPoint(p.tolist()) for p in points]
        return np.array(ras) * [-1, -1, 1]

    centre = affine @ [*(shape - 1) / 2, 1]
    np.testing.assert_allclose(world([(size - 1) / 2])[0], centre[:3], atol=1e-4)
    # Landmarks all over the new grid: the old voxels that SimpleITK puts at the same place in the
    # world have the value that the closed form has there.
    landmarks = np.random.default_rng(0).integers(0, size, (200, 3))
    old = np.linalg.inv(affine) @ np.c_[world(landmarks), np.ones(200)].T
    exact = (shape[:, None] - 1) / 2 + (landmarks - (size - 1) / 2).T * wanted[:, None] / (
        np.linalg.norm(affine[:3, :3], axis=0)[:, None]
    )
    distance = np.linalg.norm(affine[:3, :3] @ (old[:3] - exact), axis=0)
    assert distance.max() < 1e-4
    found = sitk.GetArrayViewFromImage(image)[tuple(landmarks[:, ::-1].T)]
    np.testing.assert_allclose(found, 100 * half_waves(old[:3], shape), atol=5e-3)


def test_the_edges_of_the_field_of_view_stay_where_the_spacing_divides_it(cosines):
    values = half_waves(np.indices((16, 18, 20)), (16, 18, 20))
    fine = upscale(nibabel.Nifti1Image(values, THICK), cosines, spacing="0.6x0.9x2.5")
    assert fine.shape == (24, 18, 40)
    for corner in np.ndindex(2, 2, 2):
        old = THICK @ [*(np.array(corner) * (16, 18, 20) - 0.5), 1]
        new = fine.affine @ [*(np.array(corner) * fine.shape - 0.5), 1]
        np.testing.assert_allclose(new, old, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*slices are like their neighbours")  # they are noise
def test_series_come_to_the_grid_volume_by_volume(cosines):
    series = np.random.default_rng(0).gamma(2, 50, (16, 18, 17, 2)).astype(np.float32)
    series[..., 1] *= 30
    seen = []
    fine = upscale(
        nibabel.Nifti1Image(series, THICK),
        cosines,
        isotropic=True,
        progress=lambda *step: seen.append(step),
    )
    assert fine.shape == (16, 18, 94, 2)
    for volume in range(2):
        alone = upscale(nibabel.Nifti1Image(series[..., volume], THICK), cosines, isotropic=True)
        np.testing.assert_array_equal(fine.get_fdata()[..., volume], alone.get_fdata())
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1


@pytest.fixture
def command(linear, monkeypatch, tmp_path):
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: Model.of(linear))
    monkeypatch.chdir(tmp_path)
    array = np.random.default_rng(0).gamma(2, 50, (20, 18, 16)).astype(np.float32)
    nibabel.Nifti1Image(array, THICK).to_filename("thick.nii.gz")
    np.save("array.npy", array)
    return lambda name, *options: cli.run(
        ["upscale", name, "-o", f"out-{name}", "--model", "mine.safetensors", *options]
    )


def test_the_command_line_takes_millimetres(command, capsys):
    assert command("thick.nii.gz", "--spacing", "0.6x0.9x1.0") == 0
    fine = nibabel.load("out-thick.nii.gz")
    assert fine.shape == (30, 18, 80)
    np.testing.assert_allclose(fine.header.get_zooms(), (0.6, 0.9, 1.0), rtol=1e-6)
    said = capsys.readouterr().err
    assert "2x along i, 8x along k, i and k resampled" in said
    assert "30 x 18 x 80 voxels of 0.6 x 0.9 x 1 mm" in said
    assert command("thick.nii.gz", "--isotropic", "--overwrite") == 0
    assert nibabel.load("out-thick.nii.gz").shape == (20, 18, 89)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("thick.nii.gz", ["--spacing", "1", "--scale", "2"]),
        ("thick.nii.gz", ["--isotropic", "--spacing", "1"]),
        ("thick.nii.gz", ["--spacing", "9"]),
        ("thick.nii.gz", ["--axes", "q"]),
        ("array.npy", ["--isotropic"]),
    ],
)
def test_wrong_grids_end_with_one_line_and_no_output(command, capsys, tmp_path, name, options):
    assert command(name, *options) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / f"out-{name}").exists()


@pytest.mark.filterwarnings("ignore:.*slices are like their neighbours")  # they are noise
def test_absurd_spacings_are_refused_before_anything_is_allocated(linear):
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((20, 18, 16)), THICK)
    with pytest.raises(InputError, match="GB of memory"):
        upscale(image, linear, spacing=0.001)
