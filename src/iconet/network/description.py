"""How an image lost its resolution, as the image itself tells it.

A k-space crop, a window over k-space, a mean over blocks and an interpolation leave different
strengths near the Nyquist frequency. They are alike all over the image and no convolution can see
them at one place, so they are measured over the whole of it: the mean squares of differences
between points 1 to 5 apart (structure functions, which hold what the power spectrum holds), of
second differences, and along the diagonals, each relative to the one at the longest distance. What
is left does not depend on the intensity, and little on what the image shows.
"""

import torch
from torch import Tensor, nn

from iconet.intensity import SPIKE, levels_of_slice
from iconet.physics.point_spread import POINT_SPREADS, misfits

LAGS = 5
STRENGTHS = 2 * LAGS + 4
"""How many numbers `strengths` gives."""

SIDE = 128
"""Pixels along each side of what is looked at to tell the way of an image."""

HIDDEN = 64
NOTHING = 1e-6  # mean square of differences, of images whose bright parts are 1


def strengths(image: Tensor) -> Tensor:
    """Strength of an image's differences, logarithms.

    Args:
        image: (B, c, H, W) real, around 0 to 1; H and W above 5. Channels count alike.

    Returns:
        (B, `STRENGTHS`).
    """
    found = []
    for lag in range(1, LAGS + 1):
        found += [image[..., lag:] - image[..., :-lag], image[..., lag:, :] - image[..., :-lag, :]]
    found += [image[..., lag:, lag:] - image[..., :-lag, :-lag] for lag in (1, 2)]
    found.append(image[..., 2:] - 2 * image[..., 1:-1] + image[..., :-2])
    found.append(image[..., 2:, :] - 2 * image[..., 1:-1, :] + image[..., :-2, :])
    logs = torch.stack([(one.square().mean((1, 2, 3)) + NOTHING).log() for one in found], dim=1)
    far = slice(2 * LAGS - 2, 2 * LAGS)  # both axes
    return logs - logs[:, far].mean(1, keepdim=True)


class Description(nn.Module):
    """From the strengths of an image to a few numbers that the channel paths weigh channels by.

    Args:
        length: How many numbers.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(STRENGTHS, HIDDEN)
        self.numbers = nn.Linear(HIDDEN, length)

    def forward(self, strengths: Tensor) -> Tensor:
        """Map (B, `STRENGTHS`) to (B, length)."""
        numbers: Tensor = self.numbers(nn.functional.leaky_relu(self.hidden(strengths), 0.1))
        return numbers


CROP, OTHER = "a crop of k-space", "another way"
WAYS = (CROP, *POINT_SPREADS, OTHER)
"""How an image may have lost its resolution, as far as its enlargement has to know."""


class Way(nn.Module):
    """Which of `WAYS` an image came by, from its strengths and from what the network answered.

    It takes no part in the network's answer. Once that is trained it is fitted by
    `iconet.training.way`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        inputs = STRENGTHS + len(POINT_SPREADS)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.hidden = nn.Linear(inputs, 32)
        self.scores = nn.Linear(32, len(WAYS))
        self.requires_grad_(False)

    @property
    def is_fitted(self) -> bool:
        """Whether it can tell anything."""
        return not bool((self.deviation == 1).all())

    def forward(self, evidence: Tensor) -> Tensor:
        """Map (B, n), see `evidence`, to the logarithms of probabilities (B, len(WAYS))."""
        given = (evidence - self.mean) / self.deviation
        scores: Tensor = self.scores(nn.functional.leaky_relu(self.hidden(given), 0.1))
        return scores.log_softmax(1)


def evidence(network: nn.Module, image: Tensor) -> Tensor:
    """What `Way` tells the way from: strengths, and how the network's answer misfits.

    Args:
        network: maps (1, 1, h, w) and a mask to an output with an `image`, such as
            `iconet.network.ICONet`.
        image: (H, W), real and not constant, on any scale; the middle of it is looked at, `SIDE`
            along each axis.

    Returns:
        (1, n).
    """
    dark, bright = levels_of_slice(image.numpy())
    image = ((image - dark) / (bright - dark)).clamp(*SPIKE)
    rows, columns = (slice(max(0, size - SIDE) // 2, None) for size in image.shape)
    low = image[rows, columns][:SIDE, :SIDE][None, None].contiguous()
    there = next(network.parameters()).device
    answer = network(low.to(there), low.new_ones(1, 1, 1, 1, device=there)).image.cpu().float()
    with torch.autocast(there.type, enabled=False):
        logs = misfits(low[0, 0], answer[0, 0]).clamp_min(torch.finfo(low.dtype).tiny).log()
        return torch.cat([strengths(low), (logs[1:] - logs[:1])[None]], dim=1)
