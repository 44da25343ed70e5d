import gc
import warnings
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """pynetdicom's own sender leaves sockets open whose connections were refused."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(
                pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
            )


@pytest.fixture(autouse=True)
def sockets_left_open():
    """They are closed when they are collected: here, not in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
