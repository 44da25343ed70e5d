"""Trained networks for other runtimes, and these runtimes."""

from iconet.export.formats import FORMATS, export_model

__all__ = ["FORMATS", "export_model"]
