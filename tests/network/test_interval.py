"""The head for intervals: what it gives, and that the image does not know of it."""

from itertools import product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iconet.network import IntervalHead
from iconet.network.interval import TAILS, image_and_interval, pinball_loss
from iconet.network.trust import Familiar

from .small import tiny


def headed(network):
    torch.manual_seed(1)
    head = IntervalHead(network.width)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.with_head(head.eval())


@settings(deadline=None, max_examples=15)
@given(
    st.integers(16, 37),
    st.integers(16, 37),
    st.sampled_from([{"scale": 2}, {"scale": 4}, {"channels": 2}, {"described": 4}]),
)
def test_a_head_gives_two_distances_a_voxel_and_changes_no_bit_of_the_image(h, w, kind):
    plain = tiny(**kind)
    with torch.inference_mode():
        image = torch.rand(2, plain.channels, h, w)
        before, after = plain(image), headed(plain)(image)
    assert torch.equal(before.image, after.image)
    interval = after.stages[-1].interval
    assert interval.shape == (2, 2, *after.image.shape[2:]) and bool((interval >= 0).all())
    assert all(stage.interval is None for stage in (*before.stages, *after.stages[:-1]))


def test_a_head_is_no_part_of_the_network_that_it_was_made_for():
    plain = tiny()
    names = set(plain.state_dict())
    other = headed(plain)
    assert set(plain.state_dict()) == names and plain.interval_head is None
    assert set(other.state_dict()) > names
    shared = zip(plain.parameters(), other.stages.parameters(), strict=False)
    assert all(a.data_ptr() == b.data_ptr() for a, b in shared)


def test_distances_follow_the_intensity_and_calibration_multiplies_them():
    network, image = headed(tiny()), torch.rand(1, 1, 24, 24)
    with torch.inference_mode():
        one = network(image).stages[-1].interval
        torch.testing.assert_close(
            network(100 * image).stages[-1].interval, 100 * one, rtol=1e-2, atol=1e-2
        )
        network.interval_head.factors.copy_(torch.tensor([2.0, 0.5]))
        below, above = network(image).stages[-1].interval[0]
    torch.testing.assert_close(below, 2 * one[0, 0])
    torch.testing.assert_close(above, 0.5 * one[0, 1])


def test_nothing_beyond_the_reach_of_a_head_changes_a_distance():
    torch.manual_seed(2)
    head, side, reach = IntervalHead(3), 80, IntervalHead.REACH
    features = torch.rand(1, 3, side, side, requires_grad=True)
    image = torch.rand(1, 1, 2 * side, 2 * side, requires_grad=True)
    for point in range(36, 44):  # every place in a cell
        found = head(features, image)[0, :, 2 * point : 2 * point + 2, 2 * point : 2 * point + 2]
        seen = torch.autograd.grad(found.sum(), (features, image))
        for gradient, each in zip(seen, (1, 2), strict=True):
            where = gradient.abs().sum(1)[0].nonzero()
            least, most = where.min(0).values, where.max(0).values
            assert bool((least >= each * (point - reach)).all())
            assert bool((most < each * (point + reach + 1)).all())


def test_the_pinball_loss_is_least_at_the_quantiles():
    truth = torch.linspace(-1, 1, 2001).reshape(1, 1, 1, -1)
    image = torch.zeros_like(truth)
    grid = torch.linspace(0.8, 1.0, 41).tolist()
    losses = {
        (below, above): float(
            pinball_loss(image, torch.tensor([below, above]).reshape(1, 2, 1, 1), truth)
        )
        for below, above in product(grid, grid)
        if abs(below - above) < 0.02
    }
    best = min(losses, key=losses.__getitem__)
    assert all(abs(found - (1 - 2 * TAILS)) < 0.006 for found in best)


def test_a_network_of_a_user_without_stages_gives_its_image_alone():
    class Output:
        image = torch.zeros(1, 1, 4, 4)

    assert image_and_interval(Output()) is Output.image


def test_distances_from_what_is_familiar_are_about_1_and_grow_with_what_is_not():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.rand(6, 6, generator=generator)
    known = torch.randn(4000, 6, generator=generator) @ mixing + 3
    familiar = Familiar.of(known)
    near = familiar.distance(torch.randn(500, 6, generator=generator) @ mixing + 3)
    assert 0.5 < float(near.square().mean()) < 1.2  # less by the shrinkage
    assert float(familiar.distance(known[:1] + 50)) > 5
