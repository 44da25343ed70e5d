import gc
import warnings

import pytest


@pytest.fixture(autouse=True)
def sockets_that_pynetdicom_leaves_open():
    """Those of connections that were refused are closed when they are collected."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
