"""Other runtimes give what torch gives, through tiles, batches and precisions."""

import gc
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import iconet
from iconet.errors import InputError
from iconet.runtime import backends, device, runtimes
from iconet.runtime.device import choose_compute
from iconet.upscaling.slices import predict_stack

from ..network.small import tiny

BACKENDS = [
    pytest.param(
        name, marks=pytest.mark.skipif(not runtimes.installed(name), reason=f"{name} is missing")
    )
    for name in ("openvino", "onnxruntime")
]


@pytest.fixture(scope="module", params=[0, 6], ids=["", "described"])
def network(request):
    return tiny(described=request.param)


def stack(*shape):
    """Smooth texture with a sharp edge, brighter than bfloat16 can count."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    texture = np.cos(0.3 * x + 0.1 * y + z) + np.sin(0.02 * x * y)
    return ((x > 8) * (500 + 150 * texture) + rng.rayleigh(10, shape)).astype(np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", [{"batch": 2}, {"tile": 24}])
@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_and_batches_give_the_same_in_every_runtime(
    network, backend, options, threads, monkeypatch
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    slices = stack(3, 45, 71)
    expected = predict_stack(network, slices, compute=choose_compute("cpu", "fp32"), **options)
    compute = choose_compute("cpu", "fp32", backend)
    found = predict_stack(network, slices, compute=compute, **options)
    assert np.abs(found - expected).max() < 1e-4 * np.ptp(expected)
    assert found is not expected and np.abs(found[0] - found[1]).max() > 10  # no result overwritten


@pytest.mark.skipif(not runtimes.installed("openvino"), reason="openvino is missing")
def test_bf16_rounds_features_and_not_the_image():
    network = iconet.load("mri-x2")
    slices = stack(1, 64, 72)
    full = predict_stack(network, slices, compute=choose_compute("cpu", "fp32"))
    half = predict_stack(network, slices, compute=choose_compute("cpu", "bf16", "openvino"))
    assert np.sqrt(np.mean((half - full) ** 2)) < 1e-3 * np.ptp(full)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_is_converted_once_and_forgotten_with_it(backend):
    network = iconet.ICONet(2, width=8, exchanges=1, rec_units=1, sr_units=1).eval()
    compute = choose_compute("cpu", "fp32", backend)
    before = len(backends._ready)
    assert backends.prepare(network, compute) is backends.prepare(network, compute)
    assert len(backends._ready) == before + 1
    del network
    gc.collect()
    assert len(backends._ready) == before


def test_auto_is_the_fastest_that_is_installed(monkeypatch):
    monkeypatch.setattr(runtimes, "installed", lambda name: name == "openvino")
    assert choose_compute("cpu", "fp32", "auto").backend == "openvino"
    monkeypatch.setattr(runtimes, "installed", lambda name: False)
    assert str(choose_compute("cpu", "fp32", "auto")) == "cpu, fp32"
    monkeypatch.setattr(device, "_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(runtimes, "installed", lambda name: True)
    assert choose_compute("auto", "fp32", "auto").backend == "torch"
    with pytest.raises(InputError, match="runs on the CPU"):
        choose_compute("cuda", "fp32", "openvino")


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("tensorrt", "unknown backend"),
        ("openvino", r"pip install 'iconet\[openvino\]'"),
        ("onnxruntime", r"pip install 'iconet\[onnx\]'"),
    ],
)
def test_refusals_say_what_to_do(monkeypatch, backend, reason):
    monkeypatch.setattr(runtimes, "installed", lambda name: False)
    with pytest.raises(InputError, match=reason):
        choose_compute("cpu", "auto", backend)


@pytest.mark.skipif(not runtimes.installed("onnxruntime"), reason="onnxruntime is missing")
def test_onnxruntime_has_one_precision():
    assert choose_compute("cpu", "auto", "onnxruntime").precision == "fp32"
    with pytest.raises(InputError, match="fp32"):
        choose_compute("cpu", "bf16", "onnxruntime")


def test_other_modules_run_in_torch():
    class Twice(torch.nn.Module):
        def forward(self, lr, intensity):
            return SimpleNamespace(image=torch.nn.functional.interpolate(lr, scale_factor=2))

    run = backends.prepare(Twice(), choose_compute("cpu", "fp32", "auto"))
    made = run(torch.rand(1, 1, 20, 24), torch.ones(1, 1, 1, 1))
    assert made.image.shape == (1, 1, 40, 48) and made.distances is None
