import pytest
import torch

from iconet.errors import InputError
from iconet.runtime.device import choose_compute


def pretend(monkeypatch, *, cuda=(), mps=False, cpu=None):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cuda))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: cuda[device.index or 0])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu or {})


@pytest.mark.parametrize(
    ("machine", "chosen"),
    [
        ({"cuda": [(9, 0)], "mps": True}, "cuda, bf16"),
        ({"cuda": [(7, 5)]}, "cuda, fp32"),
        ({"mps": True}, "mps, fp32"),
        ({"cpu": {"amx_bf16": True}}, "cpu, bf16"),
        ({"cpu": {"avx512_bf16": True, "amx_bf16": False}}, "cpu, bf16"),
        ({"cpu": {"avx512_f": True, "avx512_bf16": False}}, "cpu, fp32"),
        ({}, "cpu, fp32"),
    ],
)
def test_auto(monkeypatch, machine, chosen):
    pretend(monkeypatch, **machine)
    assert str(choose_compute()) == chosen


def test_named_device_and_precision(monkeypatch):
    pretend(monkeypatch, cuda=[(7, 5), (8, 6)], cpu={"amx_bf16": True})
    assert str(choose_compute("cuda:1")) == "cuda:1, bf16"
    assert str(choose_compute("cuda", "bf16")) == "cuda, bf16"
    assert str(choose_compute("cpu", "fp32")) == "cpu, fp32"


@pytest.mark.parametrize("device", ["gpu", "cuda", "cuda:1", "mps", "meta", ""])
def test_refuses_a_device_that_is_not_there(monkeypatch, device):
    pretend(monkeypatch)
    with pytest.raises(InputError, match="use auto"):
        choose_compute(device)


def test_refuses_an_unknown_precision():
    with pytest.raises(InputError, match="fp16"):
        choose_compute("cpu", "fp16")


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_sets_the_precision_of_convolutions(precision, dtype):
    convolution = torch.nn.Conv2d(1, 1, 3)
    with choose_compute("cpu", precision).autocast():
        assert convolution(torch.zeros(1, 1, 8, 8)).dtype == dtype
