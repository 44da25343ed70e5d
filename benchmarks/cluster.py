"""A study on a Dask cluster of this machine: 1, 2 and 4 workers, and one run with kills.

    python benchmarks/cluster.py --scans 200 --workers 1 2

Small scans and one network; how many scans a second come out, and what the second worker gains.
With `--kill`, two of four workers and the client are killed in the middle and the client is started
again; then every output must be there once and equal to those of one process.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@contextmanager
def process(*arguments, **how):
    """A Python process that is gone afterwards."""
    started = subprocess.Popen([sys.executable, *arguments], **how)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextmanager
def cluster(workers):
    """The address of a scheduler, and its workers."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address, module = f"tcp://127.0.0.1:{port}", "distributed.cli.dask_"
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    with process("-m", f"{module}scheduler", *options, **QUIET):
        started = []
        try:
            for _ in range(workers):
                options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
                command = [sys.executable, "-m", f"{module}worker", address, *options]
                started.append(subprocess.Popen(command, cwd=tempfile.mkdtemp(), **QUIET))
            yield address, started
        finally:
            for one in started:
                one.kill()
                one.wait()


def upscale(source, output, model, address=None):
    """The command."""
    options = ["--model", model, "--precision", "fp32", "--backend", "torch"]
    options += [] if address is None else ["--cluster", address]
    return ["-m", "iconet.cli", "upscale", str(source), "-o", str(output), *options]


def make_scans(folder, count, size):
    """Noise on a gradient."""
    folder.mkdir()
    for number in range(count):
        values = np.random.default_rng(number).gamma(2, 50, (size, size, 4)).astype(np.int16)
        image = nibabel.Nifti1Image(values, np.diag([-1.0, 1, 3, 1]))
        image.to_filename(folder / f"{number:04d}.nii")


def done(output):
    """How many scans are recorded as made."""
    record = output / ".iconet.jsonl"
    return record.read_bytes().count(b'"inputs"') if record.exists() else 0


def rate(source, output, model, workers, count):
    """Scans a second, once every worker has loaded its weights."""
    warm, marks = 2 * workers, []
    with (
        cluster(workers) as (address, _),
        process(*upscale(source, output, model, address), **QUIET) as run,
    ):
        while run.poll() is None:
            now = done(output)
            if (not marks and now >= warm) or now == count:
                marks.append((time.monotonic(), now))
                if now == count:
                    break
            time.sleep(0.05)
    (start, first), (end, last) = marks[0], marks[-1]
    return (last - first) / (end - start)


def with_kills(source, output, model, count):
    """Two workers and the client are killed; the client is started again."""
    with cluster(4) as (address, workers):
        command = upscale(source, output, model, address)
        with process(*command, **QUIET) as first:
            for share, victims in ((0.2, workers[:1]), (0.4, workers[1:2]), (0.6, [first])):
                while done(output) < share * count:
                    if first.poll() is not None:
                        raise SystemExit("the client ended too early")
                    time.sleep(0.05)
                for victim in victims:
                    victim.send_signal(signal.SIGKILL)
        with process(*command, stderr=subprocess.PIPE, text=True) as second:
            said = second.communicate()[1]
    print(said.strip().splitlines()[-1])
    serial = output.with_name("serial")
    with process(*upscale(source, serial, model), **QUIET) as alone:
        alone.wait()
    names = sorted(path.name for path in source.iterdir())
    assert sorted(p.name for p in output.iterdir() if not p.name.startswith(".")) == names
    assert not list(output.glob(".*partial*"))
    different = [
        name
        for name in names
        if not np.array_equal(*(nibabel.load(one / name).get_fdata() for one in (output, serial)))
    ]
    print(f"{len(names)} outputs, {len(different)} of them different from one process's")


def main():
    """Print a Markdown table, and what became of the kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--model", default="mri-x2")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        make_scans(source, given.scans, given.size)
        print("| workers | scans/s | efficiency |\n|---|---|---|")
        rates = {}
        for workers in given.workers:
            output = Path(folder, f"out{workers}")
            rates[workers] = rate(source, output, given.model, workers, given.scans)
            one = rates[given.workers[0]] / given.workers[0]
            print(
                f"| {workers} | {rates[workers]:.2f} | {rates[workers] / workers / one:.2f} |",
                flush=True,
            )
        if given.kill:
            with_kills(source, Path(folder, "killed"), given.model, given.scans)


if __name__ == "__main__":
    main()
