"""Several processes on one folder: each scan is done once, and a killed one's is taken over."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import iconet
from iconet.claims import claim
from iconet.study.find import Task
from iconet.study.share import Share

from .studies import files_below, scan, times, upscale

pytestmark = pytest.mark.usefixtures("folder")
HANGS = 600  # seconds, far more than a slow machine needs

# Without a network, whose import would be most of the time.
PROGRAM = """
import os, shutil, sys, time
from iconet import cli
from iconet.study import share, study

class Upscaler:
    def __init__(self, options, *, reports, pages):
        self.options, self.pages = options, pages

    def how(self, task):
        with open("begun", "a") as begun:
            begun.write(f"{os.getpid()}\\n")
        return {"scale": self.options.scale}

    def __call__(self, task):
        while len(set(open("begun"))) < int(os.environ.get("TOGETHER", 1)):
            time.sleep(0.02)
        with open("log", "a") as log:
            log.write(f"{task.source.name} {os.getpid()}\\n")
        while task.source.name == os.environ.get("HANG"):
            time.sleep(0.05)
        time.sleep(float(os.environ.get("PACE", 0.05)))
        shutil.copy(task.source, task.target)
        if self.pages:
            side = {"shape": [1, 1], "spacing": None}
            seconds = {"upscale": 1}
            report = {"input": side, "output": side, "seconds": seconds, "created": "2026"}
            task.write_report({**report, "remarks": []})
            task.page_path.write_text("a page")
        return f"copied {task.source.name}", [task.source]

study.Upscaler = Upscaler
share.WAIT = 0.1
if __name__ == "__main__":
    cli.main()
"""


def start(*options, **environment):
    program = Path("program.py")
    if not program.exists():  # another process may be about to read it
        program.write_text(PROGRAM)
    source = str(Path(iconet.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "program.py", "upscale", "in", "-o", "out", *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source, **environment},
    )


def ended(process):
    said = process.communicate(timeout=HANGS)[1]
    return process.returncode, said


def log():
    path = Path("log")
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition):
    deadline = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def scans(count):
    names = [f"{number:02d}.nii" for number in range(count)]
    for name in names:
        scan(f"in/{name}")
    return names


@pytest.mark.parametrize("options", [(), ("--jobs", "2"), ("--overwrite",)])
def test_three_processes_do_each_scan_once(options):
    names = scans(12)
    # One that begins later replaces what others finished before, if it is to replace everything.
    processes = [start(*options, TOGETHER="3") for _ in range(3)]
    results = [ended(process) for process in processes]
    assert [code for code, _ in results] == [0, 0, 0], results
    assert Counter(name for name, _ in log()) == dict.fromkeys(names, 1)
    assert files_below("out") == [".iconet.jsonl", *names]
    for _, said in results:
        assert "failed" not in said and "not begun" not in said
    # And a fourth finds all of them finished.
    made = times("out")
    code, said = ended(start())
    assert code == 0 and "12 scans: 12 finished before" in said
    assert times("out") == made


def listed():
    """The scans in the index, in order."""
    return re.findall(r'<a href="([^"]+)\.report\.html">', Path("out/index.html").read_text())


@pytest.mark.parametrize("options", [(), ("--jobs", "2")])
def test_three_processes_write_one_index_of_all_scans(options):
    names = scans(9)
    results = [ended(process) for process in [start("--html", *options) for _ in range(3)]]
    assert [code for code, _ in results] == [0, 0, 0], results
    assert listed() == names
    beside = [f"{name}.report.{kind}" for name in names for kind in ("html", "json")]
    assert files_below("out") == sorted([".iconet.jsonl", "index.html", *names, *beside])
    # A smaller run into the same folder keeps what is there, and changes nothing.
    made = times("out")
    for name in names[1:]:
        Path("in", name).unlink()
    assert ended(start("--html"))[0] == 0
    assert listed() == names and times("out") == made


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_run_was_stopped_the_next_one_lists_everything(how):
    names = scans(3)
    stopped = start("--html", HANG="02.nii")
    wait_for(lambda: ["02.nii", str(stopped.pid)] in log())
    stopped.send_signal(how)
    ended(stopped)
    if how == signal.SIGTERM:
        assert listed() == names[:2]
    assert ended(start("--html"))[0] == 0
    assert listed() == names


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_a_killed_process_had_claimed_is_taken_over():
    names = scans(4)
    killed = start(HANG="01.nii")
    wait_for(lambda: ["01.nii", str(killed.pid)] in log())
    other = start()
    wait_for(lambda: {"02.nii", "03.nii"} <= {name for name, _ in log()})
    assert other.poll() is None, "it waits for what the first has begun"
    killed.send_signal(signal.SIGKILL)
    ended(killed)
    code, said = ended(other)
    assert code == 0, said
    assert "waiting for what another process has begun: 1 of the scans" in said
    assert [pid for name, pid in log() if name == "01.nii"] == [str(killed.pid), str(other.pid)]
    assert files_below("out") == [".iconet.jsonl", *names]


def test_runs_with_other_options_at_once_replace_nothing_of_each_other():
    names = scans(6)
    processes = [start(), start("--scale", "4")]
    results = [ended(process) for process in processes]
    assert Counter(name for name, _ in log()) == dict.fromkeys(names, 1)
    assert sum(
        said.count("made with no --scale") + said.count("made with --scale 4")
        for _, said in results
    ) >= len(names)
    assert {code for code, _ in results} <= {0, 2}


def test_a_folder_upscaled_twice_changes_nothing():
    scan("in/a.nii")
    scan("in/deep/b.nii")
    assert upscale("in", "-o", "out") == 0
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in Path().rglob("*") if p.is_file()}
    assert upscale("in", "-o", "out") == 0
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in Path().rglob("*") if p.is_file()}
    assert after == before


def test_a_claim_is_held_by_one_and_leaves_nothing(tmp_path):
    task = Task(Path("a.nii"), tmp_path / "a.nii", tmp_path)
    share = Share.of([task], overwrite=False, needs_report=False)
    with share.claimed(task) as first, share.claimed(task) as second:
        assert first and not second
        assert not share._is_free(task)
    assert share._is_free(task)
    assert not list(tmp_path.glob(".iconet*"))


def test_a_name_that_cannot_be_locked_is_said_in_one_line(tmp_path):
    from iconet.errors import InputError

    (tmp_path / "a.lock").mkdir()
    with pytest.raises(InputError, match=r"a\.lock: cannot be locked"), claim(tmp_path / "a.lock"):
        pass


@pytest.mark.parametrize("form", ["i/n", "array"])
def test_shards_do_each_scan_once_and_know_of_each_other(form):
    names = scans(11)
    array = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "2"}
    array |= {"SLURM_ARRAY_TASK_COUNT": "3"}
    processes = [
        start("--shard", f"{number + 1}/3")
        if form == "i/n"
        else start("--shard", "auto", SLURM_ARRAY_TASK_ID=str(number), **array)
        for number in range(3)
    ]
    results = [ended(process) for process in processes]
    assert [code for code, _ in results] == [0, 0, 0], results
    assert [said.splitlines()[0] for _, said in results] == [
        f"shard {number} of 3: {count} of the scans" for number, count in ((1, 4), (2, 4), (3, 3))
    ]
    assert Counter(name for name, _ in log()) == dict.fromkeys(names, 1)
    records = [f".iconet.{number}-of-3.jsonl" for number in (1, 2, 3)]
    assert files_below("out") == [*records, *names]
    made = times("out")
    for options, count in (((), 11), (("--shard", "2/2"), 5)):
        code, said = ended(start(*options))
        assert code == 0 and f"{count} scans: {count} finished before" in said
    assert times("out") == made


def test_a_shard_with_nothing_to_do_ends_well():
    scans(2)
    code, said = ended(start("--shard", "3/3"))
    assert code == 0 and "shard 3 of 3: 0 of the scans" in said
    assert files_below(".") == ["in/00.nii", "in/01.nii", "model.safetensors", "program.py"]


NO_LOCKS = """
import errno, fcntl
def flock(descriptor, operation):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""


def test_a_disk_without_locks_is_for_shards_and_others_are_told(monkeypatch):
    scans(4)
    monkeypatch.setitem(globals(), "PROGRAM", NO_LOCKS + PROGRAM)
    code, said = ended(start())
    assert code == 2 and "this disk has no locks; give --shard 1/1" in said
    assert not Path("out").exists()
    assert [ended(start("--shard", f"{number}/2"))[0] for number in (1, 2)] == [0, 0]
    assert files_below("out") == [
        *(".iconet.1-of-2.jsonl", ".iconet.2-of-2.jsonl"),
        *("00.nii", "01.nii", "02.nii", "03.nii"),
    ]
