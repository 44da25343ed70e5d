"""Several receiver coils to one image, where the sensitivities are known."""

import pytest
import torch

from iconet.physics.coils import centre_lines, combine, sense, sensitivities
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace

from .simulated_coils import anatomy, coil_maps, measured


def test_sense_undoes_the_aliasing_that_known_coils_tell_apart() -> None:
    maps = coil_maps(6, 32, 48)
    image = torch.polar(anatomy()[0, 0, 40:72, 60:108], torch.ones(32, 48))
    lines = torch.arange(48) % 2 == 0
    folded = torch.where(lines, fft2c(maps * image), 0)
    found = sense(folded, lines, maps)
    before = combine(ifft2c(folded), maps)
    assert (found - image).norm() < 0.06 * image.norm() < 0.2 * (before - image).norm()
    # Known everywhere, only the regularisation is left.
    full = sense(fft2c(maps * image), torch.ones(48) > 0, maps)
    torch.testing.assert_close(full, image / 1.01, rtol=1e-3, atol=1e-4)


def test_sensitivities_are_those_of_the_coils() -> None:
    truth = anatomy()
    kspace, _ = measured(truth, 5, 1, noise=0.0)
    found = sensitivities(kspace[0], 128)
    true = coil_maps(5, 96, 128)
    inside = crop_kspace(truth, 2)[0, 0] > 0.2
    # Up to a phase that all coils share.
    agreement = (found.conj() * true).sum(dim=0).abs()[inside]
    assert agreement.min() > 0.97 and agreement.max() < 1.0001


@pytest.mark.parametrize(
    ("missing", "expected"), [([], 16), ([0], 15), ([3], 9), ([10, 1], 3), ([8], 0), ([9], 1)]
)
def test_lines_around_the_centre_are_counted(missing: list[int], expected: int) -> None:
    lines = torch.ones(16, dtype=torch.bool)
    lines[missing] = False
    assert centre_lines(lines) == expected
