"""What holds for all tests: Hypothesis's settings, threads, the environment's programs, a cache."""

import os
import sysconfig
from collections.abc import Callable
from typing import Any

# Tests that run side by side (pytest -n) share the cores, and so do the programs they start. Set
# before torch is imported, which reads it once.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (cores or 1) // int(workers))))

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is not a failure, and a run is the same twice. The files of one example may be
# overwritten by the next, so a test's folder may serve all of them.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("ci", settings.get_profile("default"), max_examples=60)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test, nor a program it starts, reads or fills the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _phantoms_are_not_unlike(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests upscale phantoms, which are unlike the scans of training and often smooth.

    Where that is what is tested, a test has the mark `unlike`.
    """
    if request.node.get_closest_marker("unlike") is None:
        monkeypatch.setattr("iconet.upscaling.out_of_range._unlike", lambda *given: [])
        monkeypatch.setattr("iconet.upscaling.out_of_range._interpolated", lambda *given: [])


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
