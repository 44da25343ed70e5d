"""A study on a real Dask cluster: scheduler and workers are processes of this machine."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest

import iconet

from ..free_port import free_port
from .studies import files_below, scan, times

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="pip install 'iconet[cluster]'"
    ),
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
]
HANGS = 600  # seconds, far more than a slow machine needs

# In place of the network, whose import would be most of the time.
FAKE = """
import os, signal, time
from pathlib import Path
from iconet.errors import InputError
from iconet.files import complete_file

def log(line):
    descriptor = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line} {os.getpid()}\\n".encode())
    os.close(descriptor)

class Upscaler:
    say = print
    done = 0

    def __init__(self, options, **more):
        self.options = options
        log("loads -")

    def how(self, task):
        return {"scale": self.options.scale}

    def __call__(self, task):
        name = task.source.name
        log(f"does {name}")
        if name == "refused.nii":
            raise InputError(f"{task.source}: is refused")
        if name == "deadly.nii":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("PACE", 0.01)))
        content = task.source.read_bytes()[::-1]
        with complete_file(task.target) as file:
            file.write(content[:100])
            if self.done >= float(os.environ.get("DOOMED", "inf")):
                log(f"hangs {name}")
                time.sleep(3600)
            file.write(content[100:])
        self.done += 1
        self.say(f"{name} is remarkable")
        return f"{task.target}: made", [task.source]
"""
PROGRAM = """
import fake
from iconet import cli
from iconet.study import cluster, share, study
study.Upscaler = fake.Upscaler
share.WAIT, cluster.LOOK, cluster.TIMEOUT = 0.1, 0.1, "{timeout}"
if __name__ == "__main__":
    cli.main()
"""


@pytest.fixture(autouse=True)
def programs(folder):
    Path("fake.py").write_text(FAKE)
    Path("program.py").write_text(PROGRAM.replace("{timeout}", "60s"))


@contextmanager
def process(*arguments, **environment):
    """A Python process that is gone afterwards."""
    source = str(Path(iconet.__file__).parents[1])
    paths = [source, os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    started = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment},
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()


@contextmanager
def scheduler(**environment):
    port = free_port()
    arguments = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
    with process("-m", "distributed.cli.dask_scheduler", *arguments, **environment):
        yield f"tcp://127.0.0.1:{port}"


def worker(address, *options, **environment):
    arguments = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", "dask"]
    return process(
        "-m", "distributed.cli.dask_worker", address, *arguments, *options, **environment
    )


def start(address=None, program=("program.py",), output="out", options=()):
    cluster = () if address is None else ("--cluster", address)
    return process(*program, "upscale", "in", "-o", output, *cluster, *options)


def ended(started):
    said = started.communicate(timeout=HANGS)[1]
    return started.returncode, said


def kill(started):
    started.send_signal(signal.SIGKILL)
    started.wait(HANGS)


def log(word):
    lines = Path("log").read_text().splitlines() if Path("log").exists() else []
    return [line.split()[1:] for line in lines if line.startswith(word)]


def wait_for(condition, *alive):
    deadline = time.monotonic() + HANGS
    while not condition():
        for one in alive:
            assert one.poll() is None, one.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def scans(count):
    names = [f"{number:03d}.nii" for number in range(count)]
    for number, name in enumerate(names):
        scan(f"in/{name}", seed=number)
    return names


def test_workers_die_one_is_slow_and_the_client_is_killed_but_every_output_is_there_once():
    names = scans(80)
    with ExitStack() as running:
        address = running.enter_context(scheduler())
        workers = [
            running.enter_context(worker(address, **how))
            for how in ({}, {"PACE": "0.3"}, {"DOOMED": "3"}, {"DOOMED": "5"})
        ]
        client = running.enter_context(start(address))
        wait_for(lambda: len(log("hangs")) == 2, client, *workers)
        for doomed in workers[2:]:
            kill(doomed)
        done = len(log("does"))
        wait_for(lambda: len(log("does")) > done + 10, client, *workers[:2])
        kill(client)
        code, said = ended(running.enter_context(start(address)))
        assert code == 0, said
    assert files_below("out") == [".iconet.jsonl", *names]
    assert not list(Path("out").glob(".*partial*")) and not list(Path("out").glob("*.lock"))
    # Done again is only what was at work or not recorded when somebody was killed: all that the two
    # dead workers began, and a scan at work and one to be recorded of each worker.
    assert len(names) <= len(log("does")) <= len(names) + (3 + 1) + (5 + 1) + 4 + 4
    # And each worker loaded once; the clients and this look at weights without doing anything.
    does = {pid for _, pid in log("does")}
    loads = [pid for _, pid in log("loads") if pid in does]
    assert sorted(loads) == sorted(does) and len(does) == 4
    assert f"{names[-1]} is remarkable" in said, "what workers say of a scan reaches the client"

    made = times("out")
    with start() as again:
        code, said = ended(again)
    assert code == 0 and f"80 scans: {len(names)} finished before" in said
    assert times("out") == made
    with start(output="serial") as serial:
        assert ended(serial)[0] == 0
    for name in names:
        assert Path("out", name).read_bytes() == Path("serial", name).read_bytes()
    one, other = (
        {
            entry["output"]: ([file["sha256"] for file in entry["files"]], entry["how"])
            for entry in map(json.loads, Path(where, ".iconet.jsonl").read_text().split("\n")[1:])
            if "files" in entry
        }
        for where in ("out", "serial")
    )
    assert one == other


def test_a_scan_that_kills_its_workers_or_is_refused_does_not_stop_the_others():
    names = scans(3)
    for name in ("deadly.nii", "refused.nii"):
        scan(f"in/{name}")
    with ExitStack() as running:
        address = running.enter_context(
            scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
        )
        workers = [running.enter_context(worker(address)) for _ in range(3)]
        code, said = ended(running.enter_context(start(address)))
        assert sum(one.poll() is None for one in workers) == 1
    assert code == 2
    assert "in/deadly.nii: 2 workers died with it" in said and "refused.nii: is refused" in said
    assert "5 scans: 3 upscaled, 2 failed" in said and "Traceback" not in said
    assert files_below("out") == [".iconet.jsonl", *names]


def test_the_network_gives_on_a_worker_what_it_gives_here():
    scans(2)
    how = ("--model", "model.safetensors", "--precision", "fp32", "--backend", "torch", "--report")
    with ExitStack() as running:
        address = running.enter_context(scheduler())
        running.enter_context(worker(address))
        program = ("-m", "iconet.cli")
        code, said = ended(running.enter_context(start(address, program, options=how)))
        assert code == 0, said
        code, said = ended(running.enter_context(start(None, program, "here", options=how)))
        assert code == 0, said
    for name in files_below("here"):
        if name.endswith(".nii"):
            one, other = (nibabel.load(Path(where, name)).get_fdata() for where in ("out", "here"))
            np.testing.assert_allclose(one, other, atol=1)
    report = json.loads(Path("out/000.nii.report.json").read_text())
    assert report["compute"]["threads"] == 1


def test_workers_with_another_iconet_are_refused_in_one_line():
    scans(2)
    Path("other.py").write_text(
        "import importlib.metadata\nimportlib.metadata.version = lambda name: '9.9'\n"
    )
    with ExitStack() as running:
        address = running.enter_context(scheduler())
        running.enter_context(worker(address, "--preload", "other.py"))
        code, said = ended(running.enter_context(start(address)))
    *_, line = said.splitlines()
    assert code == 2 and line.startswith("iconet: error: worker tcp://127.0.0.1:")
    assert f"has iconet 9.9, this program iconet {iconet.__version__}: install" in line
    assert not Path("out").exists()


def test_where_no_scheduler_answers_one_line_says_so():
    scans(2)
    Path("program.py").write_text(PROGRAM.replace("{timeout}", "1s"))
    with start(f"tcp://127.0.0.1:{free_port()}") as client:
        code, said = ended(client)
    assert code == 2 and "no Dask scheduler answers there; start one by" in said
    assert said.count("\n") == 1 and not Path("out").exists()
