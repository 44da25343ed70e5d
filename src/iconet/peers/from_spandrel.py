"""Architectures that spandrel keeps; it needs torchvision, hence the extra ``iconet[peers]``."""

import importlib
import warnings
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from iconet.errors import InputError
from iconet.peers.peer import Interpolation, start_small


def swinir_light(scale: int, channels: int) -> nn.Module:
    """SwinIR-light: attention in shifted windows of 8 x 8.

    Liang, Cao, Sun, Zhang, Van Gool, Timofte, "SwinIR: Image Restoration Using Swin Transformer",
    ICCV Workshops 2021. As published but without stochastic depth: runs are short here.
    """
    make = _architecture("SwinIR")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        network = make(
            in_chans=channels,
            upscale=scale,
            window_size=8,
            depths=[6] * 4,
            embed_dim=60,
            num_heads=[6] * 4,
            mlp_ratio=2,
            drop_path_rate=0.0,
            upsampler="pixelshuffledirect",
        )
    start_small(network.upsample[0])
    return network


def safmn(scale: int, channels: int) -> nn.Module:
    """SAFMN: features at several resolutions modulate each other.

    Sun, Dong, Tang, Pan, "Spatially-Adaptive Feature Modulation for Efficient Image
    Super-Resolution", ICCV 2023. As published; the two layers that see colours see `channels`.
    """
    network = _architecture("SAFMN")(dim=36, n_blocks=8, ffn_scale=2.0, upscaling_factor=scale)
    network.to_feat = nn.Conv2d(channels, 36, 3, padding=1)
    network.to_img[0] = start_small(nn.Conv2d(36, channels * scale**2, 3, padding=1))
    return network


class NAFNet(nn.Module):
    """NAFNet: a U-Net of blocks that multiply features with each other and have no activation.

    Chen, Chu, Zhang, Sun, "Simple Baselines for Image Restoration", ECCV 2022. It restores images
    at their size, so it works on the interpolated image, whose pixels are folded into channels
    (scale^2 each) to keep features at the input's size. Reduced to 1.3 million parameters.

    Args:
        scale: 2, 4 or 8.
        channels: Channels of the image.
    """

    LEVELS = 2

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.scale = scale
        self.interpolate = Interpolation(scale)
        self.network = _architecture("NAFNet")(
            img_channel=channels * scale**2,
            width=32,
            enc_blk_nums=[2, 4],
            middle_blk_num=8,
            dec_blk_nums=[4, 2],
        )
        start_small(self.network.ending)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, c, H, W), sides multiples of 4, to (B, c, scale H, scale W)."""
        folded = F.pixel_unshuffle(self.interpolate(image), self.scale)
        return F.pixel_shuffle(self.network(folded) - folded, self.scale)


def _architecture(name: str) -> Any:
    try:
        module = importlib.import_module(f"spandrel.architectures.{name}")
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision made for another torch
        reason = " ".join(str(error).split())
        raise InputError(
            f"the architecture {name} comes from spandrel, which cannot be imported ({reason}): "
            "pip install 'iconet[peers]', with torch and torchvision from the same package index"
        ) from None
    return getattr(module, name)
