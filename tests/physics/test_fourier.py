"""One convention for both libraries."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.physics.fourier import fft2c, fftc, ifft2c, ifftc

sizes = st.integers(1, 33)


@given(sizes, sizes)
def test_fft2c_is_the_centred_unitary_transform(height, width):
    image = torch.randn(height, width, dtype=torch.complex128)
    row = torch.arange(height, dtype=torch.float64) - height // 2
    column = torch.arange(width, dtype=torch.float64) - width // 2
    dft_rows = torch.exp(-2j * math.pi * row[:, None] * row / height) / math.sqrt(height)
    dft_columns = torch.exp(-2j * math.pi * column[:, None] * column / width) / math.sqrt(width)
    torch.testing.assert_close(fft2c(image), dft_rows @ image @ dft_columns.T)
    torch.testing.assert_close(ifft2c(fft2c(image)), image)


@pytest.mark.parametrize("axes", [(0,), (-1,), (1, 2), (0, 1, 2)])
def test_both_libraries_transform_the_same_axes_alike(axes):
    image = np.random.default_rng(0).standard_normal((4, 5, 6)) + 0j
    kspace = fftc(image, axes)
    np.testing.assert_allclose(fftc(torch.from_numpy(image), axes).numpy(), kspace, atol=1e-12)
    np.testing.assert_allclose(ifftc(torch.from_numpy(kspace), axes).numpy(), image, atol=1e-12)
    np.testing.assert_allclose(ifftc(kspace, axes), image, atol=1e-12)


def test_single_precision_stays_single():
    for image in (np.ones((4, 5), np.complex64), torch.ones(4, 5, dtype=torch.complex64)):
        assert fft2c(image).dtype == ifft2c(image).dtype == image.dtype


def test_numpy_needs_no_torch():
    use = (
        "import numpy as np, sys; from iconet.physics.fourier import fft2c; fft2c(np.ones((4, 4)))"
    )
    subprocess.run([sys.executable, "-c", f"{use}; assert 'torch' not in sys.modules"], check=True)
