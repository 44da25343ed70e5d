"""The optimiser that every network here is trained with."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from iconet.training.muon import Muon, orthogonalise


@given(st.integers(16, 40), st.integers(16, 90), st.integers(0, 10_000))
def test_singular_values_become_about_one_and_directions_stay(r: int, c: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(2, r, c, generator=generator)
    got = orthogonalise(matrix)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    rotated = u.mT @ got @ v.mT
    # What was well above zero relative to the largest is at least half way to one.
    large = s > 0.1 * s[:, :1]
    new = torch.diagonal(rotated, dim1=1, dim2=2)
    assert float(new[large].min()) > 0.4
    assert float(new.max()) < 1.3
    assert float((rotated - torch.diag_embed(new)).abs().max()) < 2e-2


@pytest.mark.parametrize("size", [0.0, 1e-21, 1e-30, 1e-43])
def test_next_to_no_gradient_moves_next_to_nothing(size: float) -> None:
    moved = orthogonalise(torch.randn(1, 16, 20) * size)
    assert float(moved.abs().max()) < 1e-5  # and is a number


def test_scale_of_the_gradient_does_not_matter() -> None:
    def stepped(factor: float) -> torch.Tensor:
        torch.manual_seed(0)
        layer = nn.Conv2d(16, 16, 3)
        optimizer = Muon(layer, lr=0.1)
        (factor * layer(torch.ones(1, 16, 8, 8)).square().mean()).backward()
        optimizer.step()
        return layer.weight.detach()

    torch.testing.assert_close(stepped(1.0), stepped(1e3), atol=1e-4, rtol=1e-3)


def test_what_is_no_matrix_moves_as_adamw_moves_it() -> None:
    def trained(kind: str) -> list[torch.Tensor]:
        torch.manual_seed(1)
        layer = nn.Conv2d(1, 24, 3)
        parameters = {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.1}
        optimizer = (
            Muon(layer, **parameters)  # type: ignore[arg-type]
            if kind == "muon"
            else torch.optim.AdamW(layer.parameters(), **parameters)  # type: ignore[arg-type]
        )
        for step in range(5):
            optimizer.zero_grad()
            layer(torch.full((1, 1, 5, 5), 1.0 + step)).square().sum().backward()
            optimizer.step()
        return [p.detach() for p in layer.parameters()]

    for ours, theirs in zip(trained("muon"), trained("adamw"), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_memory_format_does_not_change_the_step() -> None:
    def trained(memory_format: torch.memory_format) -> torch.Tensor:
        torch.manual_seed(2)
        layer = nn.Conv2d(16, 32, 3).to(memory_format=memory_format)
        optimizer = Muon(layer, lr=0.02)
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.linspace(0, 1, 16 * 36).view(1, 16, 6, 6)).square().mean().backward()
            optimizer.step()
        return layer.weight.detach()

    plain, last = trained(torch.contiguous_format), trained(torch.channels_last)
    torch.testing.assert_close(plain, last, atol=1e-3, rtol=1e-2)


def test_state_survives_saving() -> None:
    def run(stop: bool) -> torch.Tensor:
        torch.manual_seed(4)
        layer = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3))
        optimizer = Muon(layer, lr=0.01)
        for step in range(4):
            if stop and step == 2:
                state = optimizer.state_dict()
                optimizer = Muon(layer, lr=0.01)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            layer(torch.ones(1, 1, 8, 8) * step).square().mean().backward()
            optimizer.step()
        return layer[1].weight.detach()

    assert torch.equal(run(False), run(True))


def test_a_closure_is_refused() -> None:
    with pytest.raises(ValueError, match="closure"):
        Muon(nn.Conv2d(16, 16, 1), lr=0.1).step(lambda: 0.0)
