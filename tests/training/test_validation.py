"""The score that weights are chosen by, in closed form."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from iconet.data import Volume
from iconet.physics.kspace import crop_kspace
from iconet.training.validation import Validation

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

    def forward(self, low: Tensor, intensity: Tensor) -> SimpleNamespace:
        assert torch.equal(intensity, torch.ones(1, 1, 1, 1))
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
    assert [float(truth.max()) for _, _, truth in pairs] == [3.0, 6.0]


@pytest.mark.parametrize(("slices", "pairs"), [(0, 0), (1, 1), (2, 2)])
def test_volumes_with_hardly_a_slice_do_no_harm(slices: int, pairs: int) -> None:
    assert len(Validation([volume("a", slices)], 2, CPU).pairs) == pairs
