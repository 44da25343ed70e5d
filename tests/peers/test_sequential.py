import torch

from iconet import peers


def test_shares_the_budget_of_edsr_baseline_about_equally() -> None:
    with torch.device("meta"):
        pair = peers.build("sequential", 2).architecture
        budget = sum(p.numel() for p in peers.build("edsr-baseline", 2).parameters())
    halves = [sum(p.numel() for p in half.parameters()) for half in pair.children()][:2]
    assert 0.9 * budget < sum(halves) <= budget
    assert all(0.4 * budget < half < 0.6 * budget for half in halves)


def test_the_second_network_sees_the_reconstruction_and_nothing_else() -> None:
    torch.manual_seed(0)
    model, lr = peers.build("sequential", 2), torch.rand(1, 1, 16, 20)
    for parameter in model.parameters():  # both do much more than at initialisation
        parameter.data.mul_(1.5)
    with torch.inference_mode():
        output = model(lr, intensity=torch.ones(1, 1, 1, 1))
        reconstruction = output.stages[0].reconstruction
        upscaled = model.interpolate(reconstruction) + model.architecture.upscale(reconstruction)
    assert float((reconstruction - lr).abs().max()) > 0.01
    torch.testing.assert_close(output.image, upscaled)
