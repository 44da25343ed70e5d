"""Data sets and the sampling of slices for training."""

from iconet.data.sampling import Batch, JointSampler, Sampler, ThroughPlaneSampler
from iconet.data.splits import read_splits
from iconet.data.volumes import Volume, load_volume

__all__ = [
    "Batch",
    "JointSampler",
    "Sampler",
    "ThroughPlaneSampler",
    "Volume",
    "load_volume",
    "read_splits",
]
