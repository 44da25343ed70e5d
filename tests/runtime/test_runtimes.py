"""Other runtimes in the process of a command."""

import subprocess
import sys

import pytest

from iconet.runtime.runtimes import installed

HANGS = 600  # seconds, far more than a slow machine needs

SEVERAL_MODELS = """
import os, signal
import iconet
from iconet.runtime.runtimes import openvino_model, run_openvino

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

# One thread enters just as the other, which waits for Python's lock, is about to.
TWO_AT_ONCE = """
import sys, threading
import numpy as np
from iconet.runtime.runtimes import openvino_core
from openvino import Model, opset13

given = opset13.parameter([-1], np.float32)
model = openvino_core().compile_model(Model([opset13.relu(given)], [given]), "CPU")
requests = [model.create_infer_request() for _ in "ab"]
tensors = [request.get_input_tensor() for request in requests]
for tensor in tensors:
    tensor.shape = (4,)
waits = goes = False

def first():
    global goes
    while not waits:
        pass
    goes = True
    tensors[0].data

def second():
    global waits
    waits = True
    while not goes:
        pass
    tensors[1].data

sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=run) for run in (second, first)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


@pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")
def test_a_signal_after_several_models_of_openvino() -> None:
    """Ctrl-C, or the end of a child: with a Core for each model the process would be gone."""
    command = [sys.executable, "-c", SEVERAL_MODELS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANGS)
    assert (result.returncode, result.stdout) == (0, "heard 1\n"), result.stderr


@pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")
def test_two_threads_that_are_the_first_to_give_openvino_an_array() -> None:
    """They would wait for each other for ever, in about one process of two."""
    for _ in range(3):
        command = [sys.executable, "-c", TWO_AT_ONCE]
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANGS)
        assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
