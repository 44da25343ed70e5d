import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.physics.slice_profile import thick_slices

PROFILES = ["rect", "gaussian"]


def centres(count, factor):
    return (torch.arange(count, dtype=torch.float64) + 0.5) * factor - 0.5


@given(st.integers(1, 12), st.integers(1, 8), st.sampled_from(PROFILES), st.floats(0, 0.95))
def test_constant_keeps_its_value(count, factor, profile, gap_share):
    volume = torch.full((3, 2, count * factor), 4.5, dtype=torch.float64)
    thick = thick_slices(volume, factor, profile=profile, gap=gap_share * factor)
    torch.testing.assert_close(thick, torch.full((3, 2, count), 4.5, dtype=torch.float64))


@given(st.integers(1, 12), st.integers(1, 8))
def test_rect_is_the_mean_of_the_block_and_keeps_the_mass(count, factor):
    volume = torch.rand(4, 3, count * factor, dtype=torch.float64)
    thick = thick_slices(volume, factor)
    torch.testing.assert_close(thick, volume.unflatten(-1, (count, factor)).mean(-1))
    torch.testing.assert_close(thick.sum() * factor, volume.sum())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_a_lesion_keeps_mass_and_place(profile, factor, gap):
    """A Gaussian along the slice axis, its centre of mass in thin slices."""
    position = torch.arange(96, dtype=torch.float64)
    lesion = torch.exp(-((position - 43.3) ** 2) / (2 * 5.0**2))
    thick = thick_slices(lesion, factor, profile=profile, gap=gap)
    assert float(thick.sum() * factor) == pytest.approx(float(lesion.sum()), rel=1e-3)
    place = (thick * centres(len(thick), factor)).sum() / thick.sum()
    assert float(place) == pytest.approx(43.3, abs=1e-3)


@pytest.mark.parametrize("factor", [2, 4, 6])
def test_gaussian_profile_is_half_as_sensitive_half_a_thickness_away(factor):
    """Read the profile of one thick slice by moving a single bright thin slice through it."""
    count = 9
    profile = thick_slices(
        torch.eye(count * factor, dtype=torch.float64), factor, profile="gaussian"
    )[:, count // 2]
    distance = torch.arange(count * factor) - centres(count, factor)[count // 2]
    expected = 0.5 ** ((2 * distance / factor) ** 2)  # 1/2 at factor/2: the FWHM is the thickness
    torch.testing.assert_close(profile, expected / expected.sum())


def test_a_gap_is_not_seen():
    """Thickness 2 of 4: the two in the middle. Thickness 3: and half of either neighbour."""
    impulses = torch.eye(8, dtype=torch.float64)
    half = thick_slices(impulses, 4, gap=2.0)[:, 0]
    torch.testing.assert_close(half, torch.tensor([0, 0.5, 0.5, 0, 0, 0, 0, 0]).double())
    most = thick_slices(impulses, 4, gap=1.0)[:, 0] * 3
    torch.testing.assert_close(most, torch.tensor([0.5, 1, 1, 0.5, 0, 0, 0, 0]).double())
    sliver = thick_slices(impulses, 4, gap=3.9)[:, 0]
    torch.testing.assert_close(sliver, half)


@pytest.mark.parametrize("profile", PROFILES)
def test_type_and_device_stay(device, profile):
    volume = torch.rand(2, 5, 12, device=device)
    thick = thick_slices(volume, 3, profile=profile)
    assert (thick.shape, thick.dtype, thick.device) == ((2, 5, 4), torch.float32, volume.device)
    torch.testing.assert_close(thick.cpu(), thick_slices(volume.cpu(), 3, profile=profile))


@pytest.mark.parametrize(
    ("factor", "options", "named"),
    [
        (5, {}, "12 voxels"),
        (5, {"profile": "gaussian"}, "12 voxels"),
        (0, {}, "gap"),
        (3, {"gap": 3.0}, "gap of 3.0"),
        (3, {"gap": -1.0}, "gap of -1.0"),
        (3, {"profile": "sinc"}, "'sinc'"),
    ],
)
def test_impossible_slices_are_refused(factor, options, named):
    with pytest.raises(InputError, match=named):
        thick_slices(torch.rand(12), factor, **options)
