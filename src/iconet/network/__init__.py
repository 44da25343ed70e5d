"""The paper: read rscfl, fusion, consistency, stage, iconet, loss, in this order."""

from iconet.network.iconet import SIZES, ICONet, ICONetOutput
from iconet.network.kspace.consistency import DataConsistency, Samples
from iconet.network.loss import collaboration_loss
from iconet.network.stage import StageOutput

__all__ = [
    "SIZES",
    "DataConsistency",
    "ICONet",
    "ICONetOutput",
    "Samples",
    "StageOutput",
    "collaboration_loss",
]
