"""A study as an array of jobs of a real Slurm: one machine is controller and node."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import iconet

from ..free_port import free_port
from .studies import files_below, scan

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(bool(MISSING), reason="apt-get install slurmctld slurmd slurm-client munge"),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="slurmd starts jobs as root only"
    ),
]
PATIENCE = 300  # seconds, far more than a slow machine needs

CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller}
SlurmdPort={node}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

# In place of the network, whose import would be most of the time.
PROGRAM = """
import shutil
from iconet import cli
from iconet.study import study

class Upscaler:
    def __init__(self, options, **more):
        self.options = options

    def how(self, task):
        return {"scale": self.options.scale}

    def __call__(self, task):
        shutil.copy(task.source, task.target)
        return f"copied {task.source.name}", [task.source]

study.Upscaler = Upscaler
cli.main()
"""

SCRIPT = """#!/bin/bash
#SBATCH --ntasks=1
export PYTHONPATH={source}
{python} {folder}/program.py upscale {folder}/in -o {folder}/out --shard {shard}
"""


@contextmanager
def slurm(folder):
    """The environment of its commands."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname()
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(folder=folder, host=host, controller=free_port(), node=free_port())
    )
    key = folder / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munge = [f"--{option}={folder}/munge.{name}" for option, name in files.items()]
    commands = [
        ["munged", "--force", "--foreground", f"--key-file={key}", *munge],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", host],
    ]
    started = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("wb") as out:
                started.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            if command[0] == "munged":
                until((folder / "munge.socket").exists)
        until(lambda: "idle" in said(environment, "sinfo", "--noheader", "--format=%T"))
        yield environment
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(started):
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


def said(environment, *command):
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_array_of_jobs_does_every_scan_once(tmp_path):
    names = [f"{number:02d}.nii" for number in range(9)]
    for name in names:
        scan(f"in/{name}")
    Path("program.py").write_text(PROGRAM)

    def submit(array, shard):
        script = tmp_path / "array.sh"
        source = Path(iconet.__file__).parents[1]
        script.write_text(
            SCRIPT.format(source=source, python=sys.executable, folder=tmp_path, shard=shard)
        )
        command = ["sbatch", "--wait", f"--array={array}", "--output=job-%a.log", str(script)]
        subprocess.run(command, env=environment, cwd=tmp_path, check=True, timeout=2 * PATIENCE)
        return [path.read_text() for path in sorted(Path().glob("job-*.log"))]

    # Its sockets have short names alone.
    folder = Path("/tmp") / f"iconet-slurm-{os.getpid()}"
    try:
        with slurm(folder) as environment:
            logs = submit("0-2", "auto")
            assert [log.splitlines()[0] for log in logs] == [
                f"shard {number} of 3: 3 of the scans" for number in (1, 2, 3)
            ]
            records = [f".iconet.{number}-of-3.jsonl" for number in (1, 2, 3)]
            assert files_below("out") == [*records, *names]
            Path("out/04.nii").unlink()  # of shard 2, the only one to be submitted again
            for log in Path().glob("job-*.log"):
                log.unlink()
            (log,) = submit("2", "auto/3")
            assert "3 scans: 1 upscaled, 2 finished before" in log
            assert files_below("out") == [*records, *names]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
