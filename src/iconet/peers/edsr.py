"""EDSR-baseline: a plain residual network."""

from torch import Tensor, nn

from iconet.network.rscfl import LocalUnit
from iconet.peers.peer import start_small


class EDSR(nn.Module):
    """Head, residual blocks, pixel shuffle; all features at the input's size.

    After Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image
    Super-Resolution", CVPR Workshops 2017. The default is their baseline model: 1.37 million
    parameters for colour images at scale 2, 1.52 million at scale 4.

    Args:
        scale: 2, 4 or 8.
        channels: Channels of the image.
        width: Number of features.
        blocks: Number of residual blocks.
    """

    def __init__(self, scale: int, channels: int, *, width: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(
            *(LocalUnit(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1)
        )
        self.tail = shuffle_tail(scale, width, channels)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W) to (B, c, scale H, scale W)."""
        x = self.head(image)
        detail: Tensor = self.tail(x + self.body(x))
        return detail


def shuffle_tail(scale: int, width: int, channels: int) -> nn.Sequential:
    """Convolution and pixel shuffle for each factor of two, then one to the image."""
    layers: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):
        layers += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers, start_small(nn.Conv2d(width, channels, 3, padding=1)))
