"""One slice of k-space to one image: closed forms of what counts as measured."""

import pytest
import torch

from iconet.errors import InputError
from iconet.physics.coils import MOST
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.reconstruction import reconstruct_slice

HEIGHT, WIDTH = 24, 64


def image(*leading: int, height: int = HEIGHT, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*leading, height, WIDTH, dtype=torch.complex64, generator=generator)


def kept(lines: list[int]) -> torch.Tensor:
    """Those lines and the 12 around the centre."""
    mask = torch.zeros(WIDTH, dtype=torch.bool)
    mask[lines] = True
    mask[WIDTH // 2 - 6 : WIDTH // 2 + 6] = True
    return mask


def smooth_coils(count: int) -> torch.Tensor:
    """Sensitivities whose squares sum to 1 everywhere."""
    x = torch.linspace(0, 1, WIDTH)
    angles = torch.pi / 2 * (x + torch.arange(count)[:, None]) / count
    maps = torch.stack([angle.cos() if i % 2 else angle.sin() for i, angle in enumerate(angles)])
    maps = maps / maps.square().sum(dim=0).sqrt()
    return maps[:, None].expand(count, HEIGHT, WIDTH).to(torch.complex64)


def test_a_full_slice_of_one_coil_comes_back() -> None:
    truth = image(1)
    found = reconstruct_slice(fft2c(truth), HEIGHT)
    torch.testing.assert_close(found.image, truth[0], rtol=1e-4, atol=1e-5)
    assert found.mask.all() and found.complete and found.acceleration == 1


def test_lines_that_were_left_out_count_as_unknown() -> None:
    mask = kept(list(range(0, WIDTH, 3)))
    kspace = fft2c(image(1)) * mask
    found = reconstruct_slice(kspace, HEIGHT)
    torch.testing.assert_close(found.image, ifft2c(kspace)[0])
    assert torch.equal(found.mask, mask.expand(HEIGHT, WIDTH))
    # The outermost measured lines are 0 and 63.
    assert found.acceleration == pytest.approx(WIDTH / int(mask.sum()))
    assert not found.complete


def test_what_lies_beyond_the_outermost_lines_was_not_measured() -> None:
    """Partial Fourier: every line is there up to the last one."""
    mask = torch.arange(WIDTH) >= 16
    found = reconstruct_slice(fft2c(image(1)) * mask, HEIGHT)
    assert found.acceleration == 1 and found.complete and found.partial == 0.75
    assert torch.equal(found.mask, mask.expand(HEIGHT, WIDTH))


@pytest.mark.parametrize("full", [2 * HEIGHT, 2 * HEIGHT + 1])
def test_readout_oversampling_goes_and_the_centre_stays(full: int) -> None:
    truth = image(1, height=full)
    found = reconstruct_slice(fft2c(truth), HEIGHT)
    start = full // 2 - HEIGHT // 2
    torch.testing.assert_close(found.image, truth[0, start : start + HEIGHT], rtol=1e-4, atol=1e-5)
    assert found.mask.all()


def test_a_cut_readout_is_not_taken_as_measured() -> None:
    kspace = fft2c(image(1))
    kspace[:, :6] = 0  # an asymmetric echo
    found = reconstruct_slice(kspace, HEIGHT)
    assert not found.mask[:6].any() and found.mask[6:].all()


def test_coils_of_a_full_scan_are_combined_to_the_image() -> None:
    """A slow object: its sensitivities are those that were simulated."""
    x = torch.linspace(-1, 1, WIDTH)
    y = torch.linspace(-1, 1, HEIGHT)[:, None]
    truth = torch.exp(-3 * (x**2 + y**2)).to(torch.complex64)
    found = reconstruct_slice(fft2c(smooth_coils(3) * truth), HEIGHT)
    assert found.complete and found.mask.all() and found.acceleration == 1
    inside = truth.abs() > 0.3
    torch.testing.assert_close(found.image.abs()[inside], truth.abs()[inside], rtol=0.02, atol=0.0)


@pytest.mark.parametrize(
    ("coils", "step", "complete"), [(4, 2, True), (8, 2, True), (3, 2, False), (8, 3, False)]
)
def test_every_second_line_of_four_coils_is_filled_in_by_sense(
    coils: int, step: int, complete: bool
) -> None:
    mask = kept(list(range(1, WIDTH, step)))
    found = reconstruct_slice(fft2c(smooth_coils(coils) * image()) * mask, HEIGHT)
    assert found.complete == complete and found.acceleration > 1
    assert (found.maps is None) == complete
    if complete:
        first, last = int(mask.nonzero().min()), int(mask.nonzero().max())
        assert found.mask[:, first : last + 1].all() and found.mask.sum() == HEIGHT * (
            last + 1 - first
        )
        kspace = fft2c(found.image)
        assert (kspace[~found.mask].abs() < 1e-5 * kspace.abs().max()).all()
    else:
        assert torch.equal(found.mask, mask.expand(HEIGHT, WIDTH))
        assert (found.kspace[:, ~found.mask] == 0).all() and len(found.kspace) == coils


def test_wide_gaps_of_few_coils_stay_unknown() -> None:
    mask = kept(list(range(0, WIDTH, 6)))
    found = reconstruct_slice(fft2c(smooth_coils(4) * image()) * mask, HEIGHT)
    assert found.acceleration > 2 and not found.complete
    assert not found.mask[:, 1:6].any() and found.mask[:, mask].all()


@pytest.mark.parametrize(
    ("coils", "lines", "said"),
    [
        (1, [0, 63], "32.0 times accelerated; more than 6"),
        (1, [*range(29, 36), 0, 63], "7.1 times accelerated; more than 6"),
        (2, [*range(24, 40), 0, 63], "more than 2 cannot be reconstructed well from 2 coils"),
        (1, [*range(0, 64, 2), 31, 33], "only 5 lines of the centre of k-space are complete"),
    ],
)
def test_what_cannot_be_reconstructed_well_is_refused(coils, lines, said) -> None:
    mask = torch.zeros(WIDTH, dtype=torch.bool)
    mask[lines] = True
    with pytest.raises(InputError, match=said):
        reconstruct_slice(fft2c(image(coils)) * mask, HEIGHT)


@pytest.mark.parametrize("coils", [2, 5])
def test_equal_coils_of_a_full_scan_give_the_image_times_the_root_of_their_number(
    coils: int,
) -> None:
    truth = 1 + 0.1 * image(seed=1).abs()  # positive, so that coils see it everywhere
    same = torch.polar(torch.tensor(1.0), torch.tensor(0.7)) * truth
    found = reconstruct_slice(fft2c(same.expand(coils, -1, -1)), HEIGHT)
    torch.testing.assert_close(found.image.abs(), coils**0.5 * truth, rtol=1e-4, atol=1e-4)
    assert found.mask.all() and found.acceleration == 1 and found.complete


@pytest.mark.parametrize("order", [[2, 0, 3, 1], [3, 2, 1, 0]])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_the_order_of_the_coils_does_not_matter(order: list[int], step: int) -> None:
    kspace = fft2c(smooth_coils(4) * image()) * kept(list(range(0, WIDTH, step)))
    one, other = (reconstruct_slice(each, HEIGHT) for each in (kspace, kspace[order]))
    torch.testing.assert_close(other.image, one.image, rtol=1e-3, atol=1e-4)
    assert torch.equal(other.mask, one.mask)


def test_many_coils_become_few_and_say_the_same() -> None:
    """Copies of the same coils: virtual ones hold all of it."""
    kspace = fft2c(smooth_coils(4) * image()) * kept(list(range(0, WIDTH, 4)))
    found = reconstruct_slice(kspace.repeat(8, 1, 1) / 8**0.5, HEIGHT)
    assert len(found.kspace) == MOST < 32
    expected = reconstruct_slice(kspace, HEIGHT)
    torch.testing.assert_close(found.image, expected.image, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("coils", [1, 2])
@pytest.mark.parametrize("full", [48, 49, 30])
def test_the_voxel_in_the_middle_stays_the_one_in_the_middle(full: int, coils: int) -> None:
    truth = torch.ones(full, WIDTH, dtype=torch.complex64)
    truth[full // 2, 20] = 9
    found = reconstruct_slice(fft2c(truth.expand(coils, -1, -1)), HEIGHT)
    assert found.image.shape == found.mask.shape == (HEIGHT, WIDTH)
    assert found.image.abs().argmax() == HEIGHT // 2 * WIDTH + 20
    assert found.mask.all()


def test_an_oversampled_cut_readout_is_known_where_its_nearest_sample_was() -> None:
    kspace = fft2c(image(1, height=2 * HEIGHT))
    kspace[:, :20] = 0  # of every two samples one is left
    found = reconstruct_slice(kspace, HEIGHT)
    assert not found.mask[:10].any() and found.mask[10:].all()


def test_partial_fourier_of_several_coils_is_no_acceleration() -> None:
    mask = torch.arange(WIDTH) >= 16
    found = reconstruct_slice(fft2c(smooth_coils(4) * image()) * mask, HEIGHT)
    assert found.acceleration == 1 and found.complete
    assert torch.equal(found.mask, mask.expand(HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("coils", "lines", "said"),
    [
        (
            1,
            [*range(29, 36), 0, 63],
            "7.1 times accelerated; more than 6 cannot be reconstructed well from 1 coil",
        ),
        (
            8,
            [*range(29, 36), 0, 63],
            "7.1 times accelerated; more than 6 cannot be reconstructed well from 8 coils",
        ),
        (
            4,
            [*range(0, 64, 2)],
            "only 1 lines of the centre of k-space are complete; 8 are needed: include the"
            " calibration lines",
        ),
        (
            1,
            [*range(33, 64)],
            "only 0 lines of the centre of k-space are complete; 8 are needed: include the"
            " calibration lines",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_and_no_more(coils: int, lines: list[int], said: str) -> None:
    mask = torch.zeros(WIDTH, dtype=torch.bool)
    mask[lines] = True
    with pytest.raises(InputError) as error:
        reconstruct_slice(fft2c(image(coils)) * mask, HEIGHT)
    assert str(error.value) == said


def test_a_narrow_matrix_needs_a_quarter_of_its_lines_in_the_centre() -> None:
    which = torch.arange(16)
    kspace = fft2c(image(1))[..., :16].contiguous()
    three, five = ((which - 8).abs() <= radius for radius in (1, 2))
    found = reconstruct_slice(kspace * ((which % 2 == 0) | five), HEIGHT)
    assert found.mask[0].sum() == 10
    with pytest.raises(InputError, match="only 3 lines of the centre"):
        reconstruct_slice(kspace * ((which % 4 == 0) | three), HEIGHT)
