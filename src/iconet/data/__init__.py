"""Data sets and the sampling of slices for training."""

from iconet.data.sampling import Batch, JointSampler, Sampler
from iconet.data.volumes import Volume, load_volume, read_splits

__all__ = ["Batch", "JointSampler", "Sampler", "Volume", "load_volume", "read_splits"]
