"""Processes that share the work, of which each may die without the others."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import iconet
from iconet.errors import InputError
from iconet.study.find import find_tasks
from iconet.study.jobs import Died, run_in_processes

from .studies import files_below, scan

HANGS = 600  # seconds, far more than a slow machine needs


# Without a network, whose import and loading by three processes would be most of the time.
SLOW = """
import os, shutil, signal, time
from iconet import cli
from iconet.study import study

class Upscaler:
    def __init__(self, *arguments, **options):
        pass

    def how(self, task):
        return {}

    def __call__(self, task):
        if task.source.name != "a.nii":
            open(f"busy-{os.getpid()}", "w").close()
            time.sleep(3600)
        shutil.copy(task.source, task.target)
        return "copied", [task.source]

study.Upscaler = Upscaler
if __name__ == "__main__":
    # Shells let what they run in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_being_ended_leaves_complete_outputs_and_no_processes(folder, number):
    for name in "abc":
        scan(f"in/{name}.nii")
    Path("slow.py").write_text(SLOW)
    arguments = ["upscale", "in", "-o", "out", "--jobs", "2"]
    # A relative path in it would not be found from here.
    environment = {**os.environ, "PYTHONPATH": str(Path(iconet.__file__).parents[1])}
    with Path("said").open("w") as said:
        command = [sys.executable, "slow.py", *arguments]
        process = subprocess.Popen(command, stderr=said, env=environment)
    try:
        wait_for(lambda: len(list(folder.glob("busy-*"))) == 2 or process.poll() is not None)
        workers = [int(path.name.removeprefix("busy-")) for path in folder.glob("busy-*")]
        assert len(workers) == 2, Path("said").read_text()
        process.send_signal(number)
        code = process.wait(HANGS)
    finally:
        process.kill()
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
    wait_for(lambda: not any(alive(pid) for pid in workers))
    assert files_below("out") == [".iconet.jsonl", "a.nii"]


def wait_for(condition):
    deadline = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid):
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


# What a process gets must be found by its name there, as this file is not: it evaluates texts.
EVALUATE = partial(partial, eval)


def test_a_process_that_dies_takes_no_other_task_with_it():
    tasks = ["1 + 1", "__import__('os')._exit(3)", "'a' * 3", "6 * 7", "__import__('os')._exit(4)"]
    found = dict(run_in_processes(tasks, EVALUATE, jobs=2))
    assert list(found) != [] and found == {
        "1 + 1": 2,
        "__import__('os')._exit(3)": Died(3),
        "'a' * 3": "aaa",
        "6 * 7": 42,
        "__import__('os')._exit(4)": Died(4),
    }


def test_processes_end_when_no_more_is_asked_for():
    results = run_in_processes(["__import__('os').getpid()"] + ["0"] * 9, EVALUATE, jobs=1)
    _, pid = next(results)
    assert pid != os.getpid() and alive(pid)
    results.close()
    wait_for(lambda: not alive(pid))


def test_what_concerns_all_tasks_is_raised():
    start = partial(find_tasks, [Path("a.nii")], None)
    with pytest.raises(InputError, match="say with --output"):
        list(run_in_processes(["0", "1"], start, jobs=1))
    with pytest.raises(RuntimeError, match="a process ended before it began, code 4"):
        list(run_in_processes(["0", "1"], partial(os._exit, 4), jobs=1))


def test_nothing_to_do_starts_no_process():
    assert list(run_in_processes([], partial(os._exit, 4), jobs=2)) == []
