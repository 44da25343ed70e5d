import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.physics.blur import blur_and_resample, gaussian_blur

SIGMA = 1 / math.sqrt(8 * math.log(2))  # of a Gaussian 1 wide at half maximum


def moments(profile, positions):
    mean = (profile * positions).sum() / profile.sum()
    return mean, (profile * (positions - mean) ** 2).sum() / profile.sum()


def gaussian_blob(height, width, centre, variance):
    y = torch.arange(height, dtype=torch.float64)[:, None] - centre[0]
    x = torch.arange(width, dtype=torch.float64) - centre[1]
    return torch.exp(-(y**2 + x**2) / (2 * variance))


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 30), st.sampled_from([1, 2, 4, 8]))
def test_constant_keeps_its_value(height, width, fwhm, factor):
    image = torch.full((2, height * factor, width * factor), 12.5, dtype=torch.float64)
    expected = torch.full((2, height, width), 12.5, dtype=torch.float64)
    torch.testing.assert_close(blur_and_resample(image, factor, fwhm), expected)


def test_a_point_becomes_a_gaussian_of_that_width_at_half_maximum():
    point = torch.zeros(1, 61, 61, dtype=torch.float64)
    point[0, 30, 30] = 1
    blurred = gaussian_blur(point, 8.0)[0]
    assert blurred.sum() == pytest.approx(1, rel=1e-9)
    assert blurred[30, 34] / blurred[30, 30] == pytest.approx(0.5, rel=1e-9)
    assert blurred[26, 30] / blurred[30, 30] == pytest.approx(0.5, rel=1e-9)


@given(st.floats(24, 40), st.floats(24, 40), st.sampled_from([1, 2, 4]), st.floats(2.5, 6))
def test_a_blob_widens_by_the_kernel_and_stays_where_it_was(row, column, factor, fwhm):
    """Gaussian * Gaussian: variances add. Positions in input voxels, on block centres."""
    blob = gaussian_blob(64, 64, (row, column), variance=9.0)
    low = blur_and_resample(blob, factor, fwhm)
    positions = (torch.arange(64 // factor, dtype=torch.float64) + 0.5) * factor - 0.5
    for axis, centre in ((0, row), (1, column)):
        mean, variance = moments(low.sum(1 - axis), positions)
        assert mean == pytest.approx(centre, abs=0.02)
        assert variance == pytest.approx(9.0 + (fwhm * SIGMA) ** 2, rel=0.02)
    truth_peak = 9.0 / (9.0 + (fwhm * SIGMA) ** 2)
    truth = truth_peak * gaussian_blob(64, 64, (row, column), 9.0 + (fwhm * SIGMA) ** 2)
    if factor == 1:
        torch.testing.assert_close(low, truth, rtol=0, atol=1e-3)


def test_no_width_is_the_image_itself_or_the_mean_of_the_middle_voxels():
    image = torch.rand(3, 8, 12, dtype=torch.float64)
    assert torch.equal(gaussian_blur(image, 0.0), image)
    middle = image.reshape(3, 4, 2, 6, 2).mean((2, 4))
    torch.testing.assert_close(blur_and_resample(image, 2, 0.0), middle)
    third = torch.rand(9, 6, dtype=torch.float64)
    torch.testing.assert_close(blur_and_resample(third, 3, 0.0), third[1::3, 1::3])


def test_nothing_wraps_around():
    image = torch.zeros(1, 32, 32)
    image[0, 0] = 1
    assert gaussian_blur(image, 5.0)[0, 16:].max() < 1e-6


def test_width_per_image(device):
    images = torch.rand(3, 1, 16, 16, device=device)
    widths = torch.tensor([0.0, 2.0, 5.0], device=device).reshape(3, 1, 1, 1)
    together = blur_and_resample(images, 2, widths)
    assert (together.shape, together.device.type) == ((3, 1, 8, 8), device.type)
    for image, width, blurred in zip(images, (0.0, 2.0, 5.0), together, strict=True):
        torch.testing.assert_close(blurred, blur_and_resample(image, 2, width))


def test_sizes_that_do_not_divide_are_refused():
    for factor in (0, -1, 3):
        with pytest.raises(InputError, match="blocks of"):
            blur_and_resample(torch.rand(6, 8), factor, 1.0)
