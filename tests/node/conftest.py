import gc
import warnings
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Sockets of refused connections are pynetdicom's, and closed when they are collected."""
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(ignored)


@pytest.fixture(autouse=True)
def sockets_that_pynetdicom_leaves_open():
    """As above, those that nobody has collected when a test ends."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
