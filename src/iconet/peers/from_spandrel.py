"""Architectures that spandrel keeps; it needs torchvision, hence the extra ``iconet[peers]``."""

import importlib
import warnings
from typing import Any

from torch import nn

from iconet.errors import InputError
from iconet.peers.peer import start_small


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
