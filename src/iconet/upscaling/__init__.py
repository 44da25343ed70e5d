"""From a trained network and an image to a bigger image."""

from iconet.upscaling.in_python import upscale

__all__ = ["upscale"]
