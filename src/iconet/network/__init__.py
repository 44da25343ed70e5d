"""The paper in code. Read in this order: config, rscfl, fusion, stage, iconet, loss, interval.

On the way, look up when you need to: grids (coarser grids, padding, how far a tile must see),
interpolation (the fixed 2x that details are added to) and kspace (measured samples, slow phase).
older_weights lets files from before today's names load.
"""

from iconet.network.config import SIZES, ICONetConfig
from iconet.network.iconet import ICONet, ICONetOutput
from iconet.network.interval import IntervalHead
from iconet.network.kspace.consistency import DataConsistency, Samples
from iconet.network.loss import collaboration_loss
from iconet.network.stage import StageOutput

__all__ = [
    "SIZES",
    "DataConsistency",
    "ICONet",
    "ICONetConfig",
    "ICONetOutput",
    "IntervalHead",
    "Samples",
    "StageOutput",
    "collaboration_loss",
]
