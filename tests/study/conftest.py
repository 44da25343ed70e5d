"""The networks with a known answer that tests of one scan use too."""

from ..upscaling.conftest import linear

__all__ = ["linear"]
