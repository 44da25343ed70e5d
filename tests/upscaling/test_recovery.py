"""Slices that the scanner interpolated or windowed, on the bundled head."""

import re
import warnings
from importlib.resources import files

import nibabel
import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset

import iconet
from iconet.errors import InputError
from iconet.images import from_array
from iconet.images.dicom.source_header import acquisition_matrix
from iconet.physics.acquired import Acquired
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace, resize_kspace
from iconet.physics.window import Window, apply_window, window_named
from iconet.upscaling.input_consistency import input_consistency
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.plan import plan_grid, remarks
from iconet.upscaling.recovery import Recovery, find_recovery
from iconet.zoo.model import open_model

FAST = {"backend": "torch", "precision": "fp32", "plane": "k"}


@pytest.fixture(scope="module")
def truth():
    """(S, H, W), a few slices of a head."""
    path = next(
        item for item in files("iconet").joinpath("demo_scan").iterdir() if "T1w" in item.name
    )
    volume = np.asarray(nibabel.load(str(path)).dataobj, np.float32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(volume[..., 12:36:6], 2, 0)))


@pytest.fixture(scope="module")
def low(truth):
    return crop_kspace(truth, 2).abs()


@pytest.fixture(scope="module")
def console(truth):
    """What a scanner stores of the same k-space on a larger grid."""
    return lambda *size: resize_kspace(crop_kspace(truth, 2), size).abs()


def volume(stack):
    return np.ascontiguousarray(np.moveaxis(stack.numpy(), 0, 2))


def upscaled(stack, **options):
    """The result as slices, and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = iconet.upscale(volume(stack), **FAST | options)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(result, 2, 0))), [
        str(warning.message) for warning in said
    ]


def psnr(image, truth):
    return float(10 * torch.log10(truth.max() ** 2 / (image - truth).square().mean()))


@pytest.mark.parametrize("size", [(192, 256), (144, 192), (96, 256), (150, 128)])
def test_a_zero_filled_scan_gains_what_it_gains_without_the_zero_filling(truth, low, console, size):
    plain = psnr(upscaled(low)[0], truth)
    scan = console(*size)
    result, said = upscaled(scan)
    assert result.shape[1:] == (2 * size[0], 2 * size[1])
    acquired = [
        half if stored != half else stored for stored, half in zip(size, (96, 128), strict=True)
    ]
    assert len(said) == 1 and f"acquired {acquired[0]} x {acquired[1]} of" in said[0]
    assert psnr(resize_kspace(result, tuple(truth.shape[1:])), truth) > plain - 0.2
    untouched, said = upscaled(scan, acquired="off", window="none")
    assert all("was interpolated" in line for line in said)
    assert psnr(resize_kspace(untouched, tuple(truth.shape[1:])), truth) < plain - 0.5


def test_a_zero_filled_scan_gains_as_much_where_tissue_reaches_its_borders(truth):
    """K-space makes it go on periodically: no border of the result may be taken for another one."""
    truth = truth[:, 40:168, 56:200]
    small = crop_kspace(truth, 2)
    plain = psnr(upscaled(small.abs(), acquired="off", window="none")[0], truth)
    result, _ = upscaled(resize_kspace(small, tuple(truth.shape[1:])).abs(), acquired="64x72")
    assert psnr(resize_kspace(result, tuple(truth.shape[1:])), truth) > plain - 0.1


def test_a_scan_that_holds_its_whole_band_is_taken_as_it_is(low):
    found, said = upscaled(low)
    same, _ = upscaled(low, acquired="off", window="none")
    assert not said and torch.equal(found, same)


@pytest.mark.parametrize("name", ["hamming", "hann"])
def test_a_window_is_undone(truth, name):
    window = window_named(name)
    windowed = ifft2c(apply_window(fft2c(crop_kspace(truth, 2)), window)).abs()
    result, said = upscaled(windowed)
    # Hann and Hamming differ at the edge of the band alone, where there is little in so few slices.
    assert len(said) == 1 and re.search("with a ham|with a hann", said[0])
    kept, _ = upscaled(windowed, acquired="off", window="none")
    assert psnr(result, truth) > psnr(kept, truth) + 2
    named, _ = upscaled(windowed, window=name)
    assert psnr(named, truth) > psnr(kept, truth) + 2


def test_what_is_given_is_not_looked_for(console):
    scan = console(192, 256)
    found, _ = upscaled(scan)
    given, said = upscaled(scan, acquired="96x128", window="none")
    assert torch.equal(found, given)
    assert "acquired 96 x 128 of 192 x 256: enlarged from what was acquired" in said[0]


@pytest.mark.parametrize("matrix", ["97", "0x12", "96x", "96x128x3", "a lot"])
def test_an_impossible_matrix_is_refused(matrix):
    with pytest.raises(InputError, match=f"acquired {matrix}: give auto, off, or"):
        Options(acquired=matrix)


def test_a_matrix_larger_than_the_slices_is_refused(low):
    with pytest.raises(InputError, match="at most the slices' own size"):
        upscaled(low, acquired="97x128")


def test_a_matrix_that_would_be_ignored_is_refused(low):
    with pytest.raises(InputError, match="in their plane; omit them"):
        upscaled(low, acquired="48x64", axes="k")


def test_interpolated_ct_takes_no_matrix(tmp_path, low):
    path = tmp_path / "sub-01_ct.nii"
    nibabel.save(nibabel.Nifti1Image(volume(low), np.diag([1, 1, 5, 1.0])), path)
    with pytest.raises(InputError, match="give --model too"):
        iconet.upscale(path, acquired="48x64")


def test_an_unknown_window_is_refused():
    with pytest.raises(InputError, match="'kaiser' is not known"):
        Options(window="kaiser")


def test_shift_scale_floor_and_mean_hold_for_an_interpolated_scan(console):
    scan = console(144, 192)
    plain, _ = upscaled(scan)
    shifted, _ = upscaled(scan + 500)
    scaled, _ = upscaled(scan * 3)
    peak = float(plain.max())
    assert (shifted - 500 - plain).abs().max() < 5e-3 * peak
    assert (scaled / 3 - plain).abs().max() < 1e-3 * peak
    assert plain.min() >= scan.min() >= 0
    # The magnitude of the interpolation's ringing in air, which raised the scan's mean, is gone.
    assert float(plain.mean()) == pytest.approx(float(scan.mean()), rel=1e-2)


def test_series_pictures_and_spacings_come_from_what_was_acquired_too(console):
    scan = volume(console(192, 256))
    with pytest.warns(UserWarning, match="acquired 96 x 128 of 192 x 256"):
        picture = iconet.upscale(scan[..., 1], **FAST)
    assert picture.shape == (384, 512)
    with pytest.warns(UserWarning, match="acquired 96 x 128 of 192 x 256"):
        series = iconet.upscale(np.stack([scan, 2 * scan], axis=-1), **FAST)
    np.testing.assert_allclose(series[..., 1], 2 * series[..., 0], atol=1e-3 * series.max())
    image = nibabel.Nifti1Image(scan, np.diag([1, 1, 5, 1.0]))
    with pytest.warns(UserWarning, match="acquired 96 x 128 of 192 x 256"):
        spaced = iconet.upscale(image, spacing=(0.7, 0.8, 5), **FAST)
    assert spaced.shape == (274, 320, 4)


def test_ct_keeps_its_matrix_unless_one_is_given(console):
    scan = from_array(volume(console(192, 256)))
    assert find_recovery(scan, 2, Options(), kspace=True) is not None
    assert find_recovery(scan, 2, Options(), kspace=False) is None
    found = find_recovery(scan, 2, Options(acquired="96x128"), kspace=False)
    assert found.found.matrix == (96, 128) and found.window is None


def test_the_plan_says_where_it_begins_and_ends_on_the_grid(console):
    scan = from_array(volume(console(144, 192)))
    models = Models(open_model(None), only=False)
    plan = plan_grid(scan, models, Options(plane="k"))
    assert plan.shape == (288, 384, 4) and plan.recovery.found.matrix == (96, 128)
    assert plan.gain(0) == pytest.approx(8 / 3) and plan.resampled == [0, 1]
    assert len(remarks(scan, plan, models)) == 1


def test_the_consistency_takes_the_window_into_account(truth):
    window = Window("hamming")
    windowed = ifft2c(apply_window(fft2c(crop_kspace(truth, 2)), window)).real
    scan, bigger = from_array(volume(windowed)), from_array(volume(truth))
    recovery = Recovery(2, (96, 128), Acquired((96, 128), window))
    assert input_consistency(scan, bigger, recovery).psnr > 40
    assert input_consistency(scan, bigger).psnr < 30


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 256, 192, 0], (256, 192)),
        ([320, 0, 0, 200], (200, 320)),
        ([0, 0, 0, 0], None),
        ([256, 256], None),
        (None, None),
    ],
)
def test_the_header_names_columns_and_rows(given, expected):
    header = Dataset()
    if given is not None:
        header.AcquisitionMatrix = given
    assert acquisition_matrix(header) == expected
