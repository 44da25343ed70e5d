import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from iconet.physics.smooth_phase import smooth_phase


def seeded(seed=11, device="cpu"):
    return torch.Generator(device=device).manual_seed(seed)


@given(st.integers(2, 80), st.integers(2, 80), st.floats(0.1, 10), st.integers(0, 2**31))
def test_field_and_slope_are_bounded(height, width, amplitude, seed):
    """No voxel-to-voxel step exceeds 2 pi amplitude / voxels per field of view, the promise."""
    field = smooth_phase((3, 1, height, width), generator=seeded(seed), amplitude=amplitude)
    assert (field.shape, field.dtype) == ((3, 1, height, width), torch.float32)
    assert field.abs().max() <= amplitude * 1.0001
    for axis, size in ((-2, height), (-1, width)):
        assert field.diff(dim=axis).abs().max() <= 2 * math.pi * amplitude / size * 1.001


def test_fields_use_a_fair_part_of_the_amplitude_and_differ():
    fields = smooth_phase((200, 32, 32), generator=seeded(), amplitude=math.pi)
    peaks = fields.abs().amax((1, 2))
    assert 0.3 * math.pi < peaks.mean() < math.pi
    assert (fields[1:] - fields[:-1]).abs().amax((1, 2)).min() > 0.1
    assert fields.mean().abs() < 0.3  # no side is favoured


def test_the_same_draw_is_the_same_field_at_every_resolution():
    """The field is a function of position in the field of view: 2 x 2 means agree to 2nd order."""
    fine = smooth_phase((1, 128, 128), generator=seeded())
    coarse = smooth_phase((1, 64, 64), generator=seeded())
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(fine, 2), coarse, rtol=0, atol=5e-3)


def test_reproducible_on_every_device(device):
    def draw(seed):
        return smooth_phase((2, 8, 8), generator=seeded(seed, device), device=device)

    assert draw(1).device.type == device.type
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert smooth_phase((2, 8, 8), generator=seeded(), device=device).device.type == device.type
