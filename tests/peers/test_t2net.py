import pytest
import torch

from iconet.network.grids import FOLD
from iconet.peers import t2net
from iconet.peers.t2net import T2Net, fetch


def test_has_as_many_parameters_as_the_published_code_uses() -> None:
    """8 blocks of 64 features; two of its layers, of 64 x 64 x 3 x 3 + 64, are never called."""
    with torch.device("meta"):
        count = sum(p.numel() for p in T2Net(2, channels=1).parameters())
    assert count == 1_473_282 - 2 * (64 * 64 * 9 + 64)


def test_what_is_alike_is_fetched_from_its_own_place() -> None:
    features = torch.randn(2, 3, 16, 24)
    copies, relevance = fetch(features, features)
    torch.testing.assert_close(copies, features)
    torch.testing.assert_close(relevance, torch.ones(2, 1, 16, 24))


def test_what_has_moved_is_found_where_it_went() -> None:
    answering = torch.randn(2, 3, 32, 40)
    asking = answering.roll((2 * FOLD, -FOLD), dims=(2, 3))
    copies, relevance = fetch(asking, answering)
    inside = (..., slice(4 * FOLD, -2 * FOLD), slice(2 * FOLD, -3 * FOLD))
    torch.testing.assert_close(copies[inside], asking[inside])
    torch.testing.assert_close(relevance[inside], torch.ones_like(relevance[inside]))


def test_relevance_is_a_cosine_and_indifferent_to_contrast() -> None:
    asking, answering = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 16, 16)
    copies, relevance = fetch(asking, answering)
    assert float(relevance.abs().max()) < 1
    louder_copies, same = fetch(5 * asking, 3 * answering)
    torch.testing.assert_close(same, relevance)
    torch.testing.assert_close(louder_copies, 3 * copies)


def test_bounded_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, answering = torch.randn(2, 3, 16, 24), torch.randn(2, 3, 16, 24)
    whole = fetch(asking, answering)
    monkeypatch.setattr(t2net, "QUERIES", 7)
    for a, b in zip(whole, fetch(asking, answering), strict=True):
        torch.testing.assert_close(a, b)


def test_both_branches_of_the_fetch_receive_gradients() -> None:
    asking = torch.randn(1, 3, 16, 16, requires_grad=True)
    answering = torch.randn(1, 3, 16, 16, requires_grad=True)
    copies, relevance = fetch(asking, answering)
    (copies * relevance).sum().backward()
    assert asking.grad is not None and bool(asking.grad.any())
    assert answering.grad is not None and bool(answering.grad.any())


def test_reconstruction_does_not_depend_on_the_other_branch() -> None:
    torch.manual_seed(0)
    network, image = T2Net(2, 1, width=8, blocks=2), torch.rand(1, 1, 16, 16)
    before = network(image)
    torch.nn.init.normal_(network.head_sr.weight)
    after = network(image)
    torch.testing.assert_close(before[1], after[1])
    assert not torch.allclose(before[0], after[0])
