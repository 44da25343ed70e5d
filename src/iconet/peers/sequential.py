"""The sequential pair: first reconstruct, then upscale what came out."""

from torch import Tensor, nn

from iconet.peers.edsr import EDSR
from iconet.peers.peer import Interpolation


class Sequential(nn.Module):
    """Two networks that do not talk: the second sees the image the first made and nothing else.

    Both are EDSRs and share the parameters of one EDSR-baseline about equally. Each is supervised
    (the first through the reconstruction); the gradient of the second passes through the image
    to the first, which is more than two networks trained apart get.

    Args:
        scale: 2, 4 or 8.
        channels: Channels of the image.
    """

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.reconstruct = EDSR(1, channels, blocks=8)
        self.upscale = EDSR(scale, channels, blocks=7)
        self.interpolate = Interpolation(scale)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, c, H, W) to (B, c, scale H, scale W), and to what reconstruction changes."""
        change = self.reconstruct(image).float()
        # The interpolation is linear: with that of the input, which every peer gets, the change's
        # makes the interpolation of the reconstruction.
        return self.upscale(image + change) + self.interpolate(change), change
