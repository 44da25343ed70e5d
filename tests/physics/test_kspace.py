import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.physics.kspace import (
    crop_kspace,
    low_frequencies,
    low_resolution_size,
    resize_kspace,
    zero_fill,
)

sizes = st.integers(1, 33)
small = st.integers(2, 12)
factors = st.sampled_from([2, 4, 8])
seeds = st.integers(0, 2**31)


def centres(new: int, old: int) -> torch.Tensor:
    """Centres of `new` voxels in units of `old` voxels over the same field of view."""
    return (torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5


def band_limited(height, width, max_row, max_column, seed):
    """An image of few frequencies, and the function that samples it at any number of voxels."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(-max_row, max_row + 1, dtype=torch.float64)
    columns = torch.arange(-max_column, max_column + 1, dtype=torch.float64)
    weights = torch.randn(len(rows), len(columns), generator=generator, dtype=torch.complex128)

    def sample(height, width):
        y = (torch.arange(height, dtype=torch.float64) + 0.5) / height
        x = (torch.arange(width, dtype=torch.float64) + 0.5) / width
        along_y = torch.exp(2j * math.pi * y[:, None] * rows)
        along_x = torch.exp(2j * math.pi * x[:, None] * columns)
        return along_y @ weights @ along_x.T

    return sample(height, width), sample


@given(small, small, sizes, sizes, seeds)
def test_band_limited_image_is_resampled_exactly_at_the_new_voxel_centres(
    height, width, new_height, new_width, seed
):
    row_limit = (min(height, new_height) - 1) // 2
    column_limit = (min(width, new_width) - 1) // 2
    image, sample = band_limited(height, width, row_limit, column_limit, seed)
    truth = sample(new_height, new_width)
    new_size = (new_height, new_width)
    torch.testing.assert_close(resize_kspace(image, new_size), truth, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        resize_kspace(image.real.contiguous(), new_size), truth.real, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.complex64, 1e-5)]
)
@given(small, small, factors, seeds)
def test_band_limited_image_survives_crop_and_zero_fill(
    dtype, tolerance, height, width, factor, seed
):
    image, _ = band_limited(
        height * factor, width * factor, (height - 1) // 2, (width - 1) // 2, seed
    )
    image = (image if dtype.is_complex else image.real).to(dtype)
    restored = zero_fill(crop_kspace(image, factor), factor)
    assert restored.dtype == dtype
    assert (restored - image).abs().max() <= tolerance * image.abs().max()


@given(sizes, sizes, sizes, sizes)
def test_constant_keeps_its_value(height, width, new_height, new_width):
    image = torch.full((2, height, width), 37.5, dtype=torch.float64)
    resized = resize_kspace(image, (new_height, new_width))
    torch.testing.assert_close(resized, torch.full((2, new_height, new_width), 37.5).double())


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from([(48, 40), (24, 20), (19, 23)]))
def test_a_blob_stays_where_it_was_in_millimetres(down, right, new_size):
    """Also a point, after the band limit: the centre of mass in mm, 1 mm the old voxel."""
    old_size, centre = (48, 40), (22.0 + down / 3, 18.0 + right / 3)
    y, x = (torch.arange(size, dtype=torch.float64) for size in old_size)
    blob = torch.exp(-((y[:, None] - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 3.0**2))
    resized = resize_kspace(blob, new_size)
    for axis in (0, 1):
        profile = resized.sum(1 - axis)
        millimetres = centres(new_size[axis], old_size[axis])
        found = (profile * millimetres).sum() / profile.sum()
        assert abs(found - centre[axis]) < 1e-3


@given(st.sampled_from([3, 5, 7]), st.integers(0, 15))
def test_a_point_in_the_middle_of_a_block_stays_in_the_middle(factor, place):
    high = torch.zeros(1, 16 * factor)
    high[0, place * factor + factor // 2] = 1.0
    low = crop_kspace(high.expand(factor, -1), factor)
    assert low.argmax() == place
    before, after = (low[0, (place + step) % 16] for step in (-1, 1))
    torch.testing.assert_close(before, after, rtol=0, atol=1e-6)


def test_the_middle_of_a_ramp_stays_a_straight_line_in_millimetres():
    """A ramp, mirrored so that it is periodic, reads its own millimetres away from the turns."""
    period = 128
    ramp = (torch.arange(period, dtype=torch.float64) + 0.5 - period / 2).abs()[None]
    for size in (64, 32, 43, 256, 171):
        resized = resize_kspace(ramp, (1, size))[0]
        position = centres(size, period) + 0.5
        truth = (position - period / 2).abs()
        straight = ((truth - period / 4).abs() < period / 8).nonzero().flatten()
        assert len(straight) > size / 4
        # Lost shifts would be 0.125 to 1.5 mm; the ringing from the turns is below 0.07.
        assert (resized - truth)[straight].abs().max() < 0.1


@given(small, small, small, small, seeds)
def test_cropping_is_the_adjoint_of_zero_filling(low_height, low_width, height, width, seed):
    low_size, high_size = (low_height, low_width), (low_height + height, low_width + width)
    generator = torch.Generator().manual_seed(seed)
    low = torch.randn(low_size, generator=generator, dtype=torch.complex128)
    high = torch.randn(high_size, generator=generator, dtype=torch.complex128)
    up = torch.vdot(resize_kspace(low, high_size).flatten(), high.flatten())
    down = torch.vdot(low.flatten(), resize_kspace(high, low_size).flatten())
    torch.testing.assert_close(up, down * high.numel() / low.numel())


@given(small, small, small, small, seeds)
def test_both_axes_at_once_are_one_after_the_other(height, width, more_rows, more_columns, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(height + more_rows, width + more_columns, generator=generator)
    size = (height, width)
    torch.testing.assert_close(
        low_frequencies(image, size), resize_kspace(image, size), rtol=1e-5, atol=1e-5
    )


@given(st.integers(1, 16).map(lambda half: 2 * half), st.integers(1, 40))
def test_the_nyquist_line_of_a_real_image_becomes_a_cosine(old, more):
    """Split to both ends of the band, (-1)^n is cos(pi p) at the new positions p."""
    image = (-1.0) ** torch.arange(old, dtype=torch.float64)[None]
    new = old + more
    truth = torch.cos(math.pi * centres(new, old))[None]
    torch.testing.assert_close(resize_kspace(image, (1, new)), truth, rtol=0, atol=1e-10)


def test_a_window_weighs_every_frequency_by_the_tukey_taper():
    old, new, share = 64, 32, 0.5
    for frequency in range(16):
        x = (torch.arange(old, dtype=torch.float64) + 0.5) / old
        wave = torch.cos(2 * math.pi * frequency * x)[None]
        into = max(0.0, (frequency / 16 - (1 - share)) / share)
        weight = (1 + math.cos(math.pi * into)) / 2
        plain = resize_kspace(wave, (1, new))
        windowed = resize_kspace(wave, (1, new), window=share)
        torch.testing.assert_close(windowed, weight * plain, rtol=0, atol=1e-12)


def test_a_window_takes_ringing_away_and_can_differ_per_image():
    edge = torch.zeros(1, 1, 64, 64)
    edge[..., 17:48, 17:48] = 1.0
    pair = edge.expand(2, 1, 64, 64)
    shares = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    plain, hann = resize_kspace(pair, (32, 32), shares)
    torch.testing.assert_close(plain, crop_kspace(edge, 2)[0])
    torch.testing.assert_close(hann, resize_kspace(edge, (32, 32), 1.0)[0])
    assert plain.min() < -0.05
    assert hann.min() > -0.01


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("new_size", [(3, 4), (4, 7), (9, 5), (12, 10)])
def test_gradients_are_exact(dtype, new_size):
    image = torch.randn(2, 6, 5, dtype=dtype, requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: resize_kspace(image, new_size, window=0.3), image)


def test_types_and_devices(device):
    image = torch.rand(2, 3, 16, 12, device=device)
    for dtype, expected in (
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.complex64, torch.complex64),
    ):
        low = crop_kspace(image.to(dtype), 2)
        assert (low.dtype, low.device.type, low.shape) == (expected, device.type, (2, 3, 8, 6))
    torch.testing.assert_close(crop_kspace(image, 2).cpu(), crop_kspace(image.cpu(), 2))


def test_impossible_sizes_are_refused():
    image = torch.rand(10, 12)
    assert low_resolution_size(image, 2) == (5, 6)
    for factor in (0, -2, 4, 5):
        with pytest.raises(InputError, match="10 x 12"):
            crop_kspace(image, factor)
    for size in ((0, 4), (4,), (3, -1)):
        with pytest.raises(InputError, match="two sizes"):
            resize_kspace(image, size)
    for window in (-0.1, 1.5, 2):
        with pytest.raises(InputError, match="window"):
            resize_kspace(image, (5, 6), window)
