"""How far the truth may lie from the image: a small head on the features of a trained network.

Of every voxel it gives two distances, to the 5 % quantile of the truth below the image and to the
95 % quantile above it (Koenker and Bassett, Econometrica 46:33-50, 1978). The network is frozen
before the head is trained, and the image does not depend on it.
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iconet.network.grids import FOLD, enlarge, whole_cells
from iconet.network.rscfl import activate

TAILS = 0.05
"""Share of the truth that should lie below the interval, and above it."""

TERMS = 6
"""Of the polynomial that tells how wide intervals must be."""

MOST_WIDENED = 4.0
"""Times wider, or narrower, at most."""

HIDDEN = 16  # channels at points
FAR = 32  # channels of cells
CELLS = 5  # convolutions on cells
NEW = 4  # voxels for each point of a stage's input
START = -4.0  # softplus of this is 0.018: 2 % of what is bright


class IntervalHead(nn.Module):
    """From the features and the image of the last stage to two distances at every voxel.

    Near a voxel one sees whether there is something to guess; how well this network guesses in this
    scan (noise, sharpness) one sees around it. So two convolutions work on the points of the
    stage's input and five on cells of 4 x 4 of them. Errors are as large at the four new voxels of
    a point: distances are found at the points and interpolated.

    Args:
        width: Channels of the features.
    """

    REACH = (CELLS + 1) * FOLD + 3
    """Points around one beyond which nothing reaches its distances."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Apart, as 36 channels take twice the time of 32.
        self.near = nn.Conv2d(width, HIDDEN, 3, padding=1)
        self.image = nn.Conv2d(NEW, HIDDEN, 3, padding=1, bias=False)
        widths = [HIDDEN, *(CELLS - 1) * [FAR], HIDDEN]
        self.around = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)
        )
        self.both = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)
        self.distances = nn.Conv2d(HIDDEN, 2, 1)
        nn.init.constant_(self.distances.bias, START)  # type: ignore[arg-type]
        # Calibrated after training, below and above; see `iconet.evaluation.trust`.
        self.factors: Tensor
        self.register_buffer("factors", torch.ones(2))
        self.widening: Tensor
        self.register_buffer("widening", torch.zeros(2, TERMS))

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Read distances from features.

        Args:
            features: (B, C, H', W'), H' and W' whole cells.
            image: (B, c, 2H, 2W), that they are of.

        Returns:
            (B, 2, 2H, 2W) float32, not negative: below and above, where the image is around 0 to 1.
        """
        return at_voxels(self.at_points(features, image), image)

    def at_points(self, features: Tensor, image: Tensor) -> Tensor:
        """The distances at the points of the stage's input, (B, 2, H', W')."""
        blocks = whole_cells(F.pixel_unshuffle(magnitude(image), 2)).to(features.dtype)
        x = activate(self.near(features) + self.image(blocks))
        first, *rest, last = self.around
        far = activate(first(F.avg_pool2d(x, FOLD)))
        for convolution in rest:
            far = far + activate(convolution(far))
        x = activate(self.both(x) + enlarge(last(far), FOLD))
        return F.softplus(self.distances(x).float()) * self.factors[:, None, None]

    def widened(self, strengths: Tensor) -> Tensor:
        """How much wider the intervals of slices must be than the head says.

        Convolutions cannot see how the whole of an image lost its resolution. Its strengths tell:
        after a blur the head is too sure.

        Args:
            strengths: (B, F), see `iconet.network.description.strengths`.

        Returns:
            (B, 2), factors for the distances below and above; 1 before calibration.
        """
        least, most = -math.log(MOST_WIDENED), math.log(MOST_WIDENED)
        return (terms(strengths) @ self.widening.T).clamp(least, most).exp()


class AtPoints(nn.Module):
    """A head that leaves its distances at the points of the stage's input, for `at_voxels`.

    Enlarging is linear: whoever does more with them does that first, on a quarter of the numbers.

    Args:
        head: the head.
    """

    def __init__(self, head: IntervalHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """As of `IntervalHead`, but (B, 2, H', W'), whole cells."""
        return self.head.at_points(features, image)


def at_voxels(distances: Tensor, image: Tensor) -> Tensor:
    """Distances at points (B, 2, H', W') at the voxels of an image (B, c, 2H, 2W)."""
    height, width = image.shape[-2:]
    return enlarge(distances, 2)[..., :height, :width]


def terms(strengths: Tensor) -> Tensor:
    """(B, `TERMS`) of a polynomial of two numbers: how fine an image is, and how fine at the end.

    Args:
        strengths: (B, F): differences at distance 1 along both axes first, second ones last.
    """
    fine = strengths[:, :2].mean(1) + 2
    finest = strengths[:, -2:].mean(1) - strengths[:, :2].mean(1)
    one = torch.ones_like(fine)
    return torch.stack([one, fine, finest, fine**2, finest**2, fine * finest], dim=1)


def magnitude(image: Tensor) -> Tensor:
    """(B, c, H, W) of real images, or of the parts of complex ones, as (B, 1, H, W)."""
    return image if image.shape[1] == 1 else torch.linalg.vector_norm(image, dim=1, keepdim=True)


def pinball_loss(image: Tensor, interval: Tensor, truth: Tensor) -> Tensor:
    """Mean pinball loss of both bounds, which is least where they are the truth's quantiles.

    Args:
        image: (B, 1, H, W).
        interval: (B, 2, H, W), distances below and above it.
        truth: (B, 1, H, W).
    """
    above_lower = truth - (image - interval[:, :1])
    below_upper = (image + interval[:, 1:]) - truth
    both = torch.cat([above_lower, below_upper], dim=1)
    return torch.maximum(TAILS * both, (TAILS - 1) * both).mean()


def interval_of(output: Any) -> Tensor | None:
    """The distances of what a network returned, ours or of a user, which may have no stages."""
    stages = getattr(output, "stages", None)
    return getattr(stages[-1], "interval", None) if stages else None


def image_and_interval(output: Any) -> Tensor:
    """The image (B, 1, H, W) of a network, and the two distances of its interval if it gives any.

    Args:
        output: What a network returned, as of `interval_of`.
    """
    image: Tensor = output.image
    interval = interval_of(output)
    return image if interval is None else torch.cat([image, interval], dim=1)
