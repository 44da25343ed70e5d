"""The score that weights are chosen by, in closed form."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from iconet.data import Volume
from iconet.network import Samples
from iconet.physics.acquisition import Acquisition
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace
from iconet.training.validation import ACQUISITION, Validation

CPU = torch.device("cpu")


def volume(dataset: str, slices: int = 6, peak: float = 1.0) -> Volume:
    """Inside the foreground all is 0.5 but for one voxel of the given peak."""
    images = torch.zeros(slices, 16, 16)
    images[:, 4:12, 4:12] = 0.5
    images[:, 8, 8] = peak
    return Volume(f"{dataset}/1/T1w", dataset, images.half())


class Wrong(nn.Module):
    """Knows the truth and is off by a constant, which depends on the peak, everywhere."""

    def __init__(self, truths: dict[float, tuple[Tensor, float]]) -> None:
        super().__init__()
        self.truths = truths

    def forward(self, low: Tensor, intensity: Tensor, samples: None) -> SimpleNamespace:
        assert torch.equal(intensity, torch.ones(1, 1, 1, 1))
        assert samples is None
        for truth, error in self.truths.values():
            if torch.equal(crop_kspace(truth, 2).abs(), low):
                return SimpleNamespace(image=truth + error)
        raise AssertionError("the input is not the plain k-space crop of a slice")


def test_psnr_in_closed_form_per_data_set_and_mean_over_data_sets() -> None:
    volumes = [volume("a"), volume("b", peak=2.0), volume("b", peak=2.0)]
    truths = {
        1.0: (volumes[0].slices[:1, None].float(), 0.1),
        2.0: (volumes[1].slices[:1, None].float(), 0.02),
    }
    scores = Validation(volumes, 2, CPU)(Wrong(truths))
    # 20 log10(1 / 0.1) and 20 log10(2 / 0.02); the larger data set counts no more in the mean.
    assert scores == pytest.approx({"a": 20.0, "b": 40.0, "mean": 30.0}, abs=1e-3)


def test_the_background_does_not_count() -> None:
    truth = volume("a").slices[:1, None].float()
    error = torch.where(truth > 0.1, 0.1, 7.0)
    scores = Validation([volume("a")], 2, CPU)(Wrong({1.0: (truth, error)}))
    assert scores["mean"] == pytest.approx(20.0, abs=1e-3)


def test_slices_are_taken_evenly_from_the_inside() -> None:
    images = torch.arange(9.0).view(9, 1, 1).expand(9, 16, 16).half()
    pairs = Validation([Volume("x", "a", images)], 2, CPU).pairs
    assert [float(pair.truth.max()) for pair in pairs] == [3.0, 6.0]


@pytest.mark.parametrize(("slices", "pairs"), [(0, 0), (1, 1), (2, 2)])
def test_volumes_with_hardly_a_slice_do_no_harm(slices: int, pairs: int) -> None:
    assert len(Validation([volume("a", slices)], 2, CPU).pairs) == pairs


class Recorder(nn.Module):
    """Keeps what it is given and returns one image of the given number of channels."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image
        self.seen: list[tuple[Tensor, Samples | None]] = []

    def forward(self, low: Tensor, intensity: Tensor, samples: Samples | None) -> SimpleNamespace:
        assert torch.equal(intensity, torch.ones(1, 1, 1, 1))
        self.seen.append((low, samples))
        return SimpleNamespace(image=self.image)


def seen(volumes: list[Volume], known_samples: bool) -> list[tuple[Tensor, Samples | None]]:
    recorder = Recorder(torch.zeros(1, 1, 128, 128))
    Validation(volumes, 2, CPU, acquisition=ACQUISITION, known_samples=known_samples)(recorder)
    return recorder.seen


def larger(name: str = "a/1/T1w") -> Volume:
    images = torch.rand(6, 128, 128, generator=torch.Generator().manual_seed(2))
    return Volume(name, "a", images.half())


def test_every_slice_has_an_acquisition_of_its_own_and_always_the_same() -> None:
    one, other = larger(), larger("a/2/T1w")
    both = seen([other, one], True)
    alone = seen([one], True)
    for (low, samples), (again, samples_again) in zip(both[2:], alone, strict=True):
        assert samples is not None and samples_again is not None
        assert torch.equal(low, again)
        assert all(map(torch.equal, samples[:2], samples_again[:2]))
    masks = torch.cat([samples.mask.flatten(1) for _, samples in both if samples])
    assert len(masks.unique(dim=0)) == 4
    assert (masks.sum(1) == 16).all()  # a quarter of 64 lines
    assert masks[:, 30:35].all()  # 8 % of them in the centre


def test_known_samples_are_those_of_the_complex_input() -> None:
    for (low, samples), (magnitude, none) in zip(
        seen([larger()], True), seen([larger()], False), strict=True
    ):
        assert samples is not None and none is None
        image = torch.complex(low[:, :1], low[:, 1:])
        torch.testing.assert_close(fft2c(image), samples.kspace)
        torch.testing.assert_close(magnitude, image.abs())


def test_psnr_is_that_of_the_magnitude_whatever_the_phase() -> None:
    truth = volume("a", slices=1).slices[:1, None].float()
    turned = torch.polar(truth + 0.1, torch.linspace(-3, 3, 16).expand(truth.shape))
    image = torch.cat((turned.real, turned.imag), dim=1)
    validation = Validation([volume("a", 1)], 2, CPU, acquisition=ACQUISITION, known_samples=True)
    assert validation(Recorder(image))["mean"] == pytest.approx(20.0, abs=1e-3)


def test_slices_are_padded_to_sizes_that_networks_take_with_samples() -> None:
    images = torch.ones(1, 72, 104).half()
    full = Acquisition(acceleration=(1.0, 1.0), noise_max=0.0)
    [pair] = Validation(
        [Volume("x", "a", images)], 4, CPU, acquisition=full, known_samples=True
    ).pairs
    assert pair.low.shape == (1, 2, 20, 28)
    assert pair.truth.shape == (1, 1, 80, 112)
    assert (pair.truth[..., :72, :104] == 1).all()
    assert float(pair.truth.sum()) == 72 * 104
