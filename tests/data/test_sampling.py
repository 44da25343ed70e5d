"""Batches: reproducible, aligned, weighted, shared; simulated acquisitions whole and consistent."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from iconet.data import Batch, JointSampler, Sampler, Volume
from iconet.data.sampling import JITTER, PATCHES_PER_SLICE
from iconet.errors import InputError
from iconet.physics.acquisition import Acquisition
from iconet.physics.degradation import DegradationMix
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace, resize_kspace

PLAIN = DegradationMix(
    kspace=1, windowed=0, blurred=0, averaged=0, noise_probability=0, noise_max=0
)
SIZE = (96, 80)


def volume(dataset: str = "a", count: int = 3, size: tuple[int, int] = SIZE) -> Volume:
    """Slices without symmetry: every window of every slice is recognised by its content."""
    generator = torch.Generator().manual_seed(count + size[0])
    coarse = 0.3 + 0.7 * torch.rand(count, 1, size[0] // 8, size[1] // 8, generator=generator)
    slices = F.interpolate(coarse, size=size, mode="bicubic").clamp(0.2, 1.2)[:, 0]
    return Volume(f"{dataset}/1/T1w", dataset, slices.half())


def make_sampler(*volumes: Volume, **changes: object) -> Sampler:
    options = {"weights": {}, "scale": 2, "patch": 32, "batch": 8, "mix": PLAIN, "seed": 3}
    options |= {"device": torch.device("cpu"), **changes}
    return Sampler(volumes or (volume(),), **options)  # type: ignore[arg-type]


def make_joint(*volumes: Volume, **changes: object) -> JointSampler:
    options = {"weights": {}, "scale": 2, "patch": 64, "batch": 4, "seed": 3}
    options |= {"acquisition": Acquisition(), "known_samples": True}
    options |= {"device": torch.device("cpu"), **changes}
    return JointSampler(volumes or (volume(),), **options)  # type: ignore[arg-type]


def tensors(batch: Batch) -> list[Tensor]:
    return [batch.low, *batch.clean, *(batch.samples or ())[:2]]


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def make_noisy(**changes: object) -> Sampler:
    return make_sampler(mix=DegradationMix(), **changes)


both = pytest.mark.parametrize("make", [make_noisy, make_joint])


@both
def test_a_batch_is_a_function_of_seed_and_step_alone(
    make: Callable[..., Sampler | JointSampler],
) -> None:
    first, second = make(), make()
    in_order = [first(step) for step in range(4)]
    torch.manual_seed(1234)  # global random numbers play no part
    backwards = [second(step) for step in reversed(range(4))][::-1]
    assert all(map(same, in_order, backwards))
    assert not same(in_order[0], in_order[1])
    assert not same(in_order[0], make(seed=4)(0))
    with ThreadPoolExecutor(3) as threads:  # nor does who draws at the same time
        assert all(map(same, in_order, threads.map(first, range(4))))


@both
@pytest.mark.parametrize("world", [2, 4])
def test_shares_of_processes_make_up_the_batch_of_one(
    make: Callable[..., Sampler | JointSampler], world: int
) -> None:
    whole = make(batch=16)(7)
    shares = [tensors(make(batch=16, rank=rank, world=world)(7)) for rank in range(world)]
    together = [torch.cat(parts) for parts in zip(*shares, strict=True)]
    assert all(map(torch.equal, together, tensors(whole)))
    # No item is there twice, not even at another step or seed.
    low = torch.cat([whole.low, make(batch=16)(8).low, make(batch=16, seed=4)(7).low])
    assert len(low.flatten(1).unique(dim=0)) == len(low)


@both
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"batch": 16, "world": 3}, "so that 3 processes can share it"),
        ({"batch": 0}, "batch=0: give a multiple"),
        ({"batch": 16, "rank": 2, "world": 2}, "no process 2 of 2"),
        ({"batch": 16, "rank": -1}, "no process -1"),
    ],
)
def test_batches_that_cannot_be_shared_are_refused(
    make: Callable[..., Sampler | JointSampler], options: dict[str, int], named: str
) -> None:
    with pytest.raises(InputError, match=named) as error:
        make(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_every_size_from_low_to_full_is_there(scale: int) -> None:
    low, clean, samples = make_sampler(scale=scale, patch=64, batch=4, mix=DegradationMix())(0)
    assert low.shape == (4, 1, 64 // scale, 64 // scale)
    assert samples is None
    sides = [image.shape[-1] for image in clean]
    assert sides == [s for s in (8, 16, 32, 64) if s >= 64 // scale]
    assert all(image.shape == (4, 1, side, side) for image, side in zip(clean, sides, strict=True))
    assert all(image.dtype == torch.float32 for image in (low, *clean))


def orientations(image: Tensor) -> list[Tensor]:
    turned = [torch.rot90(image, turns, dims=(2, 3)) for turns in range(4)]
    return [*turned, *(one.flip(3) for one in turned)]


def find(patch: Tensor, image: Tensor) -> list[tuple[int, int, int]]:
    """(orientation, top, left) of every place in the image where the patch was cut."""
    side = patch.shape[-1]
    # Undone orientation for orientation: the turned patch is looked for in the whole image.
    found = []
    for number, whole in enumerate(orientations(image)):
        windows = whole[0, 0].unfold(0, side, 1).unfold(1, side, 1)
        # Candidates first, by a single pixel: the whole comparison is slow.
        places = ((windows[..., 0, 0] - patch[0, 0, 0, 0]).abs() < 1e-5).nonzero().tolist()
        for top, left in places:
            if (windows[top, left] - patch[0, 0]).abs().amax() < 1e-5:
                found.append((number, top, left))
    return found


@pytest.mark.parametrize("scale", [2, 4])
def test_patches_of_all_sizes_are_one_window_turned_alike(
    scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    one = volume(count=1)
    image = one.slices[:1, None].float()
    orientation_seen = set()
    for step in range(6):
        low, clean, _ = make_sampler(one, scale=scale, batch=4, mix=PLAIN)(step)
        torch.testing.assert_close(low, clean[0])  # a plain crop is the clean image of that size
        for patch in range(PATCHES_PER_SLICE):
            [(number, top, left)] = find(low[patch][None], crop_kspace(image, scale).abs())
            orientation_seen.add(number)
            for i, size in enumerate(clean):
                ratio = 2**i
                whole = crop_kspace(image, scale // ratio).abs() if ratio < scale else image
                assert (number, top * ratio, left * ratio) in find(size[patch][None], whole)
    assert orientation_seen == set(range(8))


def test_degraded_patches_show_the_same_place_as_clean_ones() -> None:
    low, clean, _ = make_sampler(mix=DegradationMix(), batch=16)(5)
    for degraded, truth in zip(low, clean[0], strict=True):
        agreement = torch.corrcoef(torch.stack([degraded.flatten(), truth.flatten()]))[0, 1]
        assert float(agreement) > 0.9


def test_intensities_vary_within_the_stated_range_and_alike_in_all_sizes() -> None:
    flat = Volume("flat", "a", torch.full((1, *SIZE), 1.0).half())
    found = []
    for step in range(12):
        low, clean, _ = make_sampler(flat, batch=4)(step)
        values = torch.stack([image.mean() for image in (low, *clean)])
        torch.testing.assert_close(values, values[:1].expand(3), rtol=1e-5, atol=1e-5)
        found.append(float(values[0]))
    assert JITTER[0] <= min(found) < 0.9
    assert 1.1 < max(found) <= JITTER[1]


def drawn(sampler: Sampler, draws: int = 40) -> Counter[float]:
    """How often each data set was drawn; flat volumes tell by intensity which one it was."""
    counts: Counter[float] = Counter()
    for step in range(draws):
        low = sampler(step).low
        counts.update(round(float(patch.mean()), 2) for patch in low[::PATCHES_PER_SLICE])
    return counts


def flat(dataset: str, value: float, slices: int, size: tuple[int, int] = (32, 32)) -> Volume:
    return Volume(dataset, dataset, torch.full((slices, *size), value).half())


def test_weights_steer_data_sets_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    many, few, never = flat("many", 0.5, 50), flat("few", 1.0, 2), flat("never", 0.25, 9)
    sampler = make_sampler(many, few, never, weights={"few": 3.0, "never": 0}, batch=40)
    counts = drawn(sampler)
    assert set(counts) == {0.5, 1.0}  # a data set that is not named has weight 1
    assert counts[1.0] / counts.total() == pytest.approx(0.75, abs=0.07)


def test_within_a_data_set_every_slice_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    counts = drawn(make_sampler(flat("a", 0.5, 9), flat("a", 1.0, 3), batch=40))
    assert counts[0.5] / counts.total() == pytest.approx(0.75, abs=0.07)


def test_volumes_smaller_than_a_patch_or_empty_are_left_out() -> None:
    small, empty = volume(size=(96, 24)), volume(count=0)
    large = volume()
    sampler = make_sampler(small, large, empty)
    assert sampler.volumes == [large]
    assert all(sampler(step).clean[-1].shape == (8, 1, 32, 32) for step in range(3))


def test_what_is_left_out_takes_nothing_from_its_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    small = flat("a", 0.25, 30, (32, 24))
    counts = drawn(make_sampler(small, flat("a", 0.5, 10), flat("b", 1.0, 10), batch=40))
    assert counts[0.5] / counts.total() == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("volumes", [[volume(size=(96, 24))], [volume(count=0)]])
def test_no_volume_that_is_large_enough_is_said_in_one_line(volumes: list[Volume]) -> None:
    with pytest.raises(InputError, match="no training scan has slices of 32 x 32") as error:
        make_sampler(*volumes)
    assert "\n" not in str(error.value)


def test_weights_that_leave_nothing_are_said() -> None:
    with pytest.raises(InputError, match=r"data\.weights"):
        make_sampler(weights={"a": 0.0})


def test_a_dark_slice_gives_a_batch_all_the_same() -> None:
    low, clean, _ = make_sampler(flat("dark", 0.0, 1, SIZE), mix=DegradationMix(**asdict(PLAIN)))(0)
    assert not any(bool(image.any()) for image in (low, *clean))


def as_complex(image: Tensor) -> Tensor:
    return torch.complex(image[:, :1], image[:, 1:])


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_known_samples_are_those_of_the_input_and_all_images_are_complex(scale: int) -> None:
    low, clean, samples = make_joint(scale=scale)(0)
    assert samples is not None
    side = 64 // scale
    assert low.shape == (4, 2, side, side)
    assert [c.shape for c in clean] == [(4, 2, s, s) for s in (8, 16, 32, 64) if s >= side]
    assert all(image.dtype == torch.float32 for image in (low, *clean))
    assert (samples.kspace.dtype, samples.mask.dtype) == (torch.complex64, torch.bool)
    assert samples.mask.shape == (4, 1, 1, side)
    assert all(tensor.isfinite().all() for tensor in (low, *clean, *samples[:2]))
    torch.testing.assert_close(fft2c(as_complex(low)), samples.kspace)
    assert (samples.kspace[~samples.mask.expand(samples.kspace.shape)] == 0).all()
    whole = as_complex(clean[-1])
    for image in clean:
        torch.testing.assert_close(as_complex(image), resize_kspace(whole, tuple(image.shape[2:])))


def test_without_noise_samples_are_the_clean_image_s_own() -> None:
    _, clean, samples = make_joint(acquisition=Acquisition(noise_max=0.0))(0)
    assert samples is not None
    torch.testing.assert_close(samples.kspace, fft2c(as_complex(clean[0])) * samples.mask)


@pytest.mark.parametrize("scale", [2, 4])
def test_networks_that_are_not_told_see_the_magnitudes_of_the_same_batch(scale: int) -> None:
    told = make_joint(scale=scale)(5)
    low, clean, samples = make_joint(scale=scale, known_samples=False)(5)
    assert samples is None
    for magnitude, image in zip((low, *clean), (told.low, *told.clean), strict=True):
        torch.testing.assert_close(magnitude, as_complex(image).abs())


def test_windows_are_cut_from_slices_and_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    one = volume(count=1)
    sampler = make_joint(one, known_samples=False, batch=8)
    found = [
        place
        for step in range(4)
        for window in sampler(step).clean[-1]
        for place in find(window[None], one.slices[:1, None].float())
    ]
    assert len(found) == 32  # every window is somewhere, once
    assert {orientation for orientation, _, _ in found} == set(range(8))
    assert len(set(found)) > 20


def test_small_slices_are_padded_evenly_with_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    one = volume(count=1, size=(40, 96))
    for window in make_joint(one, known_samples=False, batch=8)(0).clean[-1]:
        upright = window[0].T if window[0, 0].any() else window[0]
        assert (upright[:12] == 0).all()
        assert (upright[-12:] == 0).all()
        assert (upright[12:-12] >= 0.19).all()


def test_windows_of_one_batch_come_from_volumes_of_all_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("iconet.data.sampling.JITTER", (1.0, 1.0))
    volumes = flat("a", 0.5, 4, (24, 40)), flat("b", 1.0, 4, (128, 96))
    [*_, clean] = make_joint(*volumes, known_samples=False, batch=16)(0).clean
    peaks = clean.amax((1, 2, 3)).round(decimals=2)
    assert set(peaks.tolist()) == {0.5, 1.0}


def test_intensities_of_windows_vary_alike_with_their_noise() -> None:
    """Noise is a share of the jittered scale, so it is relative to the image what it was."""
    noise = Acquisition(acceleration=(1.0, 1.0), noise_min=0.1, noise_max=0.1)
    one = flat("a", 1.0, 2, (64, 64))
    low, clean, _ = make_joint(one, acquisition=noise, batch=16)(0)
    jitter = clean[-1].norm(dim=1).amax((1, 2))
    assert JITTER[0] <= float(jitter.min()) < float(jitter.max()) <= JITTER[1] + 1e-5
    relative = (low - clean[0]).std((1, 2, 3)) / jitter
    torch.testing.assert_close(relative, torch.full_like(relative, 0.1), rtol=0.1, atol=0)


def test_joint_batches_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="no training scan"):
        make_joint(volume(count=0))
    with pytest.raises(InputError, match=r"data\.weights"):
        make_joint(weights={"a": 0.0})
    with pytest.raises(InputError, match="not a multiple of the scale"):
        make_joint(patch=36, scale=8)


def test_a_dark_slice_gives_a_joint_batch_all_the_same() -> None:
    batch = make_joint(flat("dark", 0.0, 1, SIZE), acquisition=Acquisition(noise_max=0.0))(0)
    assert not any(bool(image.any()) for image in (batch.low, *batch.clean))


def test_several_coils_come_with_their_sensitivities() -> None:
    _, clean, samples = make_joint(acquisition=Acquisition(noise_max=0.0, coils=(2, 4)))(0)
    assert samples is not None and samples.maps is not None
    assert samples.kspace.shape == samples.maps.shape and samples.kspace.shape[1] == 4
    assert len(samples.mask) == len(clean[0]) == len(samples.kspace)
