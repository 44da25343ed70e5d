import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.physics.fourier import fft2c
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.undersampling import cartesian_mask

KINDS = ["random", "equispaced"]


def seeded(seed=5, device="cpu"):
    return torch.Generator(device=device).manual_seed(seed)


def gaps(mask):
    return mask.nonzero().flatten().diff()


@given(
    st.integers(8, 400),
    st.floats(1, 8),
    st.floats(0, 1),
    st.sampled_from(KINDS),
    st.integers(0, 2**31),
)
def test_a_mask_keeps_its_centre_and_its_acceleration(lines, acceleration, share, kind, seed):
    centre_fraction = share * round(lines / acceleration) / lines
    mask = cartesian_mask(
        lines,
        acceleration=acceleration,
        centre_fraction=centre_fraction,
        kind=kind,
        generator=seeded(seed),
    )
    assert (mask.shape, mask.dtype) == ((lines,), torch.bool)
    assert mask.sum() == round(lines / acceleration)
    centre = round(lines * centre_fraction)
    first = lines // 2 - centre // 2
    assert mask[first : first + centre].all()
    if centre:
        assert mask[lines // 2]  # DC


@given(st.integers(64, 400), st.integers(2, 8), st.integers(0, 2**31))
def test_equispaced_lines_are_evenly_spread_on_both_sides_of_the_centre(lines, acceleration, seed):
    centre = round(0.04 * lines)
    mask = cartesian_mask(
        lines,
        acceleration=acceleration,
        centre_fraction=0.04,
        kind="equispaced",
        generator=seeded(seed),
    )
    first = lines // 2 - centre // 2
    left, right = gaps(mask[:first]), gaps(mask[first + centre :])
    spacing = (lines - centre) / (round(lines / acceleration) - centre)
    for gap in torch.cat((left, right)).tolist():
        assert abs(gap - spacing) < 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_outside_the_centre_is_measured_equally_often(kind):
    generator = seeded()
    often = sum(
        cartesian_mask(
            40, acceleration=4, centre_fraction=0.1, kind=kind, generator=generator
        ).double()
        for _ in range(3000)
    )
    outside = torch.cat((often[:18], often[22:])) / 3000
    assert (often[18:22] == 3000).all()
    assert (outside - 6 / 36).abs().max() < 0.04


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_mask_on_every_device(device, kind):
    def draw(seed):
        generator = seeded(seed, device)
        return cartesian_mask(
            320, acceleration=4, centre_fraction=0.08, kind=kind, generator=generator
        )

    assert draw(1).device.type == device.type
    assert torch.equal(draw(1), draw(1))
    assert len({tuple(draw(seed).tolist()) for seed in range(8)}) > 1


def test_without_a_generator_torch_s_own_is_used():
    torch.manual_seed(4)
    first = cartesian_mask(64, acceleration=4, centre_fraction=0.1)
    torch.manual_seed(4)
    assert torch.equal(first, cartesian_mask(64, acceleration=4, centre_fraction=0.1))


@pytest.mark.parametrize(
    ("acceleration", "centre_fraction", "kind"),
    [
        (0.5, 0.0, "random"),
        (float("nan"), 0.0, "random"),
        (1000, 0.0, "random"),
        (4, 0.5, "random"),
        (4, -0.1, "equispaced"),
        (4, 0.1, "spiral"),
    ],
)
def test_impossible_masks_are_refused(acceleration, centre_fraction, kind):
    with pytest.raises(InputError, match="choose"):
        cartesian_mask(100, acceleration=acceleration, centre_fraction=centre_fraction, kind=kind)


def test_without_phase_half_of_kspace_tells_the_other_half():
    """Why a magnitude image needs a phase before it is undersampled."""
    image = torch.rand(1, 33, 33, dtype=torch.float64, generator=seeded())

    def asymmetry(image):
        kspace = fft2c(image)
        mirrored = kspace.flip((-2, -1)).conj()
        return ((kspace - mirrored).abs().square().sum() / kspace.abs().square().sum()).item()

    assert asymmetry(image) < 1e-20
    phase = smooth_phase(tuple(image.shape), generator=seeded()).double()
    assert asymmetry(torch.polar(image, phase)) > 0.1
