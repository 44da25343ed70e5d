"""What holds for every network that ICONet is compared with."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor

from iconet import peers
from iconet.errors import InputError
from iconet.network import Samples, collaboration_loss
from iconet.peers.peer import Interpolation
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace

OPTIONAL = {"swinir-light", "safmn"}
TWO_OUTPUTS = {"t2net"}

every_peer = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                name in OPTIONAL and importlib.util.find_spec("spandrel") is None,
                reason="spandrel is not installed: pip install 'iconet[peers]'",
            ),
        )
        for name in peers.NAMES
    ],
)


def make(name: str, scale: int = 2, channels: int = 1) -> peers.Peer:
    torch.manual_seed(0)
    return peers.build(name, scale, channels).eval()


def acquire(complex_image: Tensor, mask: Tensor) -> Samples:
    return Samples(fft2c(complex_image) * mask, mask)


@every_peer
@pytest.mark.parametrize(("scale", "channels"), [(2, 1), (4, 2)])
def test_any_size_is_enlarged(name: str, scale: int, channels: int) -> None:
    with torch.inference_mode():
        output = make(name, scale, channels)(torch.rand(2, channels, 17, 22))
    assert output.image.shape == (2, channels, 17 * scale, 22 * scale)
    assert bool(output.image.isfinite().all())
    assert len(output.stages) == (name in TWO_OUTPUTS)
    for stage in output.stages:
        assert stage.reconstruction.shape == (2, channels, 17, 22)
        assert stage.super_resolution is output.image


@every_peer
def test_at_first_it_is_nearly_the_interpolation(name: str) -> None:
    lr = torch.rand(1, 1, 24, 24)
    with torch.inference_mode():
        output, plain = make(name)(lr), Interpolation(2)(lr)
    added = (output.image - plain).square().mean().sqrt()
    assert 1e-5 < float(added) < 0.2
    for stage in output.stages:
        assert 1e-5 < float((stage.reconstruction - lr).square().mean().sqrt()) < 0.2


@every_peer
@pytest.mark.parametrize("factor", [1e-4, 2500.0])
def test_intensity_scale_does_not_matter(name: str, factor: float) -> None:
    lr = torch.rand(1, 2, 16, 20)
    model = make(name, channels=2)
    with torch.inference_mode():
        expected, got = model(lr), model(lr * factor)
    torch.testing.assert_close(got.image, expected.image * factor, rtol=1e-3, atol=1e-3 * factor)


def test_given_intensity_is_what_the_network_divides_by() -> None:
    lr, model = torch.rand(1, 1, 16, 16), make("edsr-baseline")
    seen = []
    model.architecture.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(lr, intensity=torch.full((1, 1, 1, 1), 4.0))
    torch.testing.assert_close(seen[0], lr / 4)


@every_peer
def test_gradients_reach_every_parameter_from_the_first_steps(name: str) -> None:
    model = make(name, channels=2).train()
    lr = torch.rand(2, 2, 16, 16)
    mask = torch.arange(16) % 2 == 0
    samples = acquire(torch.rand(2, 1, 16, 16).to(torch.complex64), mask.expand(2, 1, 1, 16))
    clean = [torch.rand(2, 2, side, side) for side in (16, 32)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):  # what starts at zero passes gradients on once it has moved
        optimizer.zero_grad()
        collaboration_loss(model(lr, samples=samples), clean).backward()
        optimizer.step()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Channel attention squeezes into 2 to 4 units behind a ReLU: all may start dead by chance.
    assert [name for name in silent if ".gate." not in name] == []


@every_peer
def test_trains_in_bfloat16_with_images_in_float32(name: str) -> None:
    model, lr = make(name).train(), torch.rand(1, 1, 16, 16)
    exact = model(lr).image
    with torch.autocast("cpu", torch.bfloat16):
        output = model(lr)
    assert output.image.dtype == torch.float32
    # bfloat16 may touch what is added to the interpolation, not the interpolation itself.
    torch.testing.assert_close(output.image, exact, rtol=0, atol=0.02)
    output.image.square().mean().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(bool(grad.isfinite().all()) for grad in grads)


@every_peer
@pytest.mark.parametrize("scale", [2, 4])
def test_measured_samples_are_kept(name: str, scale: int) -> None:
    model = make(name, scale, channels=2)
    truth = torch.complex(torch.rand(1, 1, 17, 21), torch.rand(1, 1, 17, 21))
    mask = (torch.arange(21) % 3 == 0).expand(1, 1, 1, 21)
    samples = acquire(truth, mask)
    lr = torch.cat([truth.real, truth.imag], dim=1) + 0.3 * torch.rand(1, 2, 17, 21)
    with torch.inference_mode():
        without, known = model(lr).image, model(lr, samples=samples).image

    def measure(image: Tensor) -> Tensor:
        return fft2c(crop_kspace(torch.complex(image[:, :1], image[:, 1:]), scale))

    before, after = measure(without), measure(known)
    assert model.consistency is not None
    share = float(torch.sigmoid(model.consistency.weight.detach()))
    torch.testing.assert_close(
        after, before + share * mask * (samples.kspace - before), rtol=0, atol=1e-4
    )
    assert share > 0.9


def test_samples_need_complex_images() -> None:
    samples = acquire(torch.ones(1, 1, 16, 16).to(torch.complex64), torch.ones(1, 1, 1, 16) > 0)
    with pytest.raises(ValueError, match="2 channels"):
        make("edsr-baseline")(torch.rand(1, 1, 16, 16), samples=samples)
    with pytest.raises(ValueError, match="k-space of its input"):
        make("edsr-baseline", channels=2)(torch.rand(1, 2, 16, 18), samples=samples)


def test_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 1, H, W\)"):
        make("edsr-baseline")(torch.rand(1, 2, 16, 16))


def test_unknown_names_and_scales_are_refused() -> None:
    with pytest.raises(InputError, match="no peer is called 'vdsr': choose one of edsr-baseline"):
        peers.build("vdsr", 2)
    with pytest.raises(ValueError, match="scale 3"):
        peers.build("edsr-baseline", 3)


@every_peer
def test_weights_alone_bring_a_trained_network_back(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    trained, again = make(name), peers.build(name, 2)
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    lr = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        assert torch.equal(trained(lr).image, again.eval()(lr).image)
