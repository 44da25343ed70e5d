"""Programs of others that the tests run come with the environment, which need not be activated."""

import os
import sysconfig
from collections.abc import Callable
from typing import Any

import pytest

os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test, nor a program it starts, reads or fills the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def older_names() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Gives tensors of an ICONet the names that files once had for them."""
    renamed = [
        (".channel.", ".local."),
        (".spatial.gather.", ".gather."),
        (".spatial.merge.", ".merge."),
        (".project.", ".read."),
        (".gates.", ".weigh."),
        (".to_reconstruction.", ".tell_rec."),
        (".to_super_resolution.", ".tell_sr."),
        (".rec_to_image.", ".write_rec."),
        (".image_to_rec.", ".read_rec."),
        (".sr_to_image.", ".write_sr."),
    ]

    def older(tensors: dict[str, Any]) -> dict[str, Any]:
        for new, old in renamed:
            tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
        return tensors

    return older
