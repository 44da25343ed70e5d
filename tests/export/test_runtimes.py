"""Other runtimes in the process of a command."""

import subprocess
import sys

import pytest

from iconet.export.runtimes import installed

SEVERAL_MODELS = """
import os, signal
import iconet
from iconet.export.runtimes import openvino_model, run_openvino

heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
networks = [iconet.ICONet(2, width=16, exchanges=1, rec_units=1, sr_units=1).eval() for _ in "ab"]
first, second = (
    run_openvino(openvino_model(network), precision="fp32", threads=1) for network in networks
)
del first
del second
os.kill(os.getpid(), signal.SIGUSR1)
print("heard", len(heard))
"""


@pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")
def test_a_signal_after_several_models_of_openvino() -> None:
    """Ctrl-C, or the end of a child: with a Core for each model the process would be gone."""
    command = [sys.executable, "-c", SEVERAL_MODELS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (0, "heard 1\n"), result.stderr
