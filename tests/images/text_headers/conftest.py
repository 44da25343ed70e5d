"""A count of what is inflated, for the formats with a text header."""

import pytest

from iconet.images.text_headers.layout import Inflating


@pytest.fixture
def produced(monkeypatch):
    """How many bytes each read of compressed voxels has produced."""
    sizes = []
    original = Inflating.read

    def counting(self, size):
        sizes.append(len(block := original(self, size)))
        return block

    monkeypatch.setattr(Inflating, "read", counting)
    return sizes
