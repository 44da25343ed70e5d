"""Thick slices from thin ones; cropping in the plane is tested by the command line."""

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine

from iconet import cli
from iconet.errors import InputError
from iconet.images import Scan
from iconet.intensity import robust_scale
from iconet.physics.blur import gaussian_weights
from iconet.upscaling.degrade import degrade_file, degrade_scan, thicken_scan

AFFINE = np.array([[0, 0.9, 0, -40], [-0.8, 0, 0, 30], [0, 0, 1.25, -9], [0, 0, 0, 1.0]])


def thin(shape=(9, 8, 25)):
    return Scan(np.random.default_rng(0).gamma(2, 50, shape).astype(np.float32), AFFINE)


@pytest.mark.parametrize("axis", ["i", "j", "k"])
def test_each_thick_slice_lies_on_the_thin_ones_it_is_made_of(axis):
    import torch

    scan, across = thin((16, 12, 20)), "ijk".index(axis)
    thick = thicken_scan(scan, axis, 4)
    expected_shape = [n // 4 if i == across else n for i, n in enumerate(scan.array.shape)]
    assert list(thick.array.shape) == expected_shape
    assert thick.spacing[across] == pytest.approx(4 * scan.spacing[across])
    block = np.zeros(3)
    block[across] = 1.5  # the middle of the first four
    np.testing.assert_allclose(apply_affine(thick.affine, [0, 0, 0]), apply_affine(AFFINE, block))
    weights = gaussian_weights(scan.array.shape[across], 4, 4.0, like=torch.zeros(1)).numpy()
    expected = np.moveaxis(np.tensordot(weights, scan.array, (1, across)), 0, across)
    np.testing.assert_allclose(thick.array, expected, rtol=1e-4)


def test_slices_that_make_no_thick_one_are_left_out_at_the_end():
    thick = thicken_scan(thin(), "k", 4)
    assert thick.array.shape == (9, 8, 6)
    np.testing.assert_allclose(apply_affine(thick.affine, [0, 0, 0]), [-40, 30, -9 + 1.5 * 1.25])


def test_thinner_slices_leave_gaps_and_see_less_of_their_neighbours():
    spike = np.zeros((8, 8, 24), np.float32)
    spike[:, :, 6] = 100  # beside the middle of the second slice of four
    full, gapped = (
        thicken_scan(Scan(spike, AFFINE), "k", 4, thickness=mm).array[0, 0] for mm in (5.0, 2.5)
    )
    assert gapped[1] > 1.5 * full[1] and gapped[0] < full[0]
    assert full[1] == thicken_scan(Scan(spike, AFFINE), "k", 4).array[0, 0, 1]


def test_series_are_thickened_volume_by_volume():
    series = np.random.default_rng(0).gamma(2, 50, (8, 9, 12, 3)).astype(np.float32)
    thick = thicken_scan(Scan(series, AFFINE), "k", 3).array
    assert thick.shape == (8, 9, 4, 3)
    alone = thicken_scan(Scan(series[..., 1], AFFINE), "k", 3).array
    np.testing.assert_array_equal(thick[..., 1], alone)


@pytest.fixture
def command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    nibabel.Nifti1Image(thin().array, AFFINE).to_filename("thin.nii")
    return lambda *options: cli.run(["degrade", "thin.nii", "-o", "thick.nii", *options])


def test_the_command_line_makes_thick_slices(command, capsys):
    assert command("--axis", "k", "--scale", "5", "--thickness", "5", "--noise", "2") == 0
    thick = nibabel.load("thick.nii")
    assert thick.shape == (9, 8, 5)
    assert thick.header.get_zooms()[2] == pytest.approx(6.25)
    quiet = thicken_scan(thin(), "k", 5, thickness=5).array
    noise = np.std(thick.get_fdata() - quiet)
    assert noise == pytest.approx(0.02 * robust_scale(thin().array), rel=0.1)


@pytest.mark.parametrize(
    "options",
    [
        ("--axis", "x"),
        ("--axis", "k", "--scale", "1"),
        ("--axis", "k", "--scale", "13"),
        ("--axis", "k", "--thickness", "0"),
        ("--axis", "k", "--thickness", "2.6"),  # thicker than their distance of 2.5
        ("--axis", "k", "--thickness", "nan"),
        ("--axis", "k", "--noise", "-1"),
        ("--thickness", "2"),
    ],
)
def test_what_cannot_be_is_refused_with_one_line(command, capsys, tmp_path, options):
    assert command(*options) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "thick.nii").exists()


def test_nan_is_refused_by_name():
    scan = thin((16, 16, 8))
    scan.array[3, 3, 3] = np.nan
    for lower in (lambda: degrade_scan(scan, 2), lambda: thicken_scan(scan, "k", 2)):
        with pytest.raises(InputError, match="the given image: 1 voxels are NaN"):
            lower()


def labelled(path, **header):
    values = np.zeros((16, 12, 4), np.int16)
    values[4:10, 3:9], values[12:14, 2:4, 2] = 41, 1001
    image = nibabel.Nifti1Image(values, np.diag([1, 1, 3, 1]))
    image.to_filename(path)
    return path


@pytest.mark.parametrize("options", [{}, {"axis": "k"}])
def test_labels_stay_labels(tmp_path, options):
    path = labelled(tmp_path / "a_dseg.nii.gz")
    degrade_file(path, tmp_path / "low.nii.gz", **options)
    made = nibabel.load(tmp_path / "low.nii.gz")
    assert made.get_data_dtype() == np.int16
    assert set(np.unique(made.dataobj)) == {0, 41, 1001}
    with pytest.raises(InputError, match="have no noise"):
        degrade_file(path, tmp_path / "noisy.nii.gz", noise=1, **options)


def test_probabilities_stay_within_0_and_1_and_a_phase_is_refused(tmp_path):
    share = np.zeros((16, 12, 4), np.float32)
    share[4:10, 3:9] = 1
    for name in ("a_probseg.nii", "a_ph.nii"):
        nibabel.Nifti1Image(share, np.eye(4)).to_filename(tmp_path / name)
    degrade_file(tmp_path / "a_probseg.nii", tmp_path / "low.nii")
    made = nibabel.load(tmp_path / "low.nii").get_fdata()
    assert made.min() == 0 and made.max() == 1 and made.mean() == pytest.approx(share.mean())
    for options in ({}, {"axis": "k"}):
        with pytest.raises(InputError, match="a phase image"):
            degrade_file(tmp_path / "a_ph.nii", tmp_path / "phase.nii", **options)
    degrade_file(tmp_path / "a_ph.nii", tmp_path / "phase.nii", kind="mr")
