import math

import pytest
import torch
from torch import Tensor

from iconet.peers import mambair
from iconet.peers.mambair import MambaIR, Scan2D, recurrence, selective_scan


def one_by_one(x: Tensor, step: Tensor, rate: Tensor, write: Tensor, read: Tensor) -> Tensor:
    """The definition of the selective scan, position after position."""
    batch, ways, heads, length, depth = x.shape
    state = torch.zeros(batch, ways, heads, depth, write.shape[-1])
    outputs = []
    for t in range(length):
        forget = torch.exp(step[..., t] * rate)[..., None, None]
        add = x[..., t, :, None] * write[:, :, None, t, None, :] * step[..., t, None, None]
        state = forget * state + add
        outputs.append((state * read[:, :, None, t, None, :]).sum(-1))
    return torch.stack(outputs, dim=3)


@pytest.mark.parametrize("length", [1, 5, 12, 30])
def test_scan_in_blocks_is_the_scan_one_by_one(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mambair, "BLOCK", 4)
    monkeypatch.setattr(mambair, "STATES", 3)
    generator = torch.Generator().manual_seed(length)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    given = (
        draw(2, 4, 3, length, 5),
        torch.nn.functional.softplus(draw(2, 4, 3, length)),
        -torch.exp(draw(4, 3)),
        draw(2, 4, length, 6),
        draw(2, 4, length, 6),
    )
    torch.testing.assert_close(selective_scan(*given), one_by_one(*given), rtol=1e-4, atol=1e-5)


def test_recurrence_over_thousands_of_positions() -> None:
    """A constant input with a constant decay is a geometric series."""
    length, decay = 3000, -0.01
    got = recurrence(torch.full((1, length), decay), torch.ones(1, length, 2))
    t = torch.arange(1, length + 1, dtype=torch.float64)
    expected = ((1 - torch.exp(decay * t)) / (1 - math.exp(decay))).float()
    torch.testing.assert_close(got[0, :, 0], expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(got[0, :, 1], expected, rtol=1e-4, atol=0)


def test_paths_cover_the_image_four_times_and_lead_back() -> None:
    x = torch.rand(2, 5, 7, 3)
    paths = Scan2D._paths(x)
    assert paths.shape == (2, 4, 35, 3)
    torch.testing.assert_close(paths[0, 0, 1], x[0, 0, 1])  # along a row
    torch.testing.assert_close(paths[0, 1, 1], x[0, 1, 0])  # along a column
    torch.testing.assert_close(paths[0, 2, 0], x[0, 4, 6])  # from the end
    torch.testing.assert_close(Scan2D._unpath(paths, 5, 7), 4 * x)


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_every_corner_reaches_the_middle(corner: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 13, 13, 60, requires_grad=True)
    Scan2D(60)(x)[0, 6, 6].sum().backward()
    assert x.grad is not None
    assert bool(x.grad[0, corner[0], corner[1]].any())


@pytest.mark.parametrize(("scale", "published"), [(2, 905_016), (4, 924_492)])
def test_but_for_the_rates_it_has_as_many_parameters_as_published(
    scale: int, published: int
) -> None:
    with torch.device("meta"):
        network = MambaIR(scale, channels=3)
    scan = network.groups[0].blocks[0].far
    inner, states, rank = 72, 10, 4  # of MambaIR-light, whose every channel has its own rates
    theirs = 4 * (inner * (rank + 2 * states) + rank * inner + inner + inner * states + inner)
    ours = sum(p.numel() for p in (scan.select, scan.step, scan.rate, scan.skip))
    count = sum(p.numel() for p in network.parameters())
    assert count + 24 * (theirs - ours) == published
