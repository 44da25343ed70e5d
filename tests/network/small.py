"""A network small enough for a test."""

import torch

from iconet.network import ICONet


def tiny(scale: int = 2, seed: int = 0, **settings: int) -> ICONet:
    """A network in which every part, also those that start neutral, does something."""
    torch.manual_seed(seed)
    model = ICONet(scale, width=8, exchanges=2, rec_units=1, sr_units=1, **settings)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()
