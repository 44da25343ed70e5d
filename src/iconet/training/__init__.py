"""The training loop and the schema of its recipes."""

from iconet.training.train import fit, train

__all__ = ["fit", "train"]
