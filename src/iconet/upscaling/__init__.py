"""From a trained network and an image to a bigger image."""

from iconet.upscaling.upscale import upscale

__all__ = ["upscale"]
