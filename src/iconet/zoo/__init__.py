"""Trained networks: those that come with the package, and files of weights made by training."""

from iconet.zoo.catalogue import Entry, catalogue
from iconet.zoo.loading import load

__all__ = ["Entry", "catalogue", "load"]
