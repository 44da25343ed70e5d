"""Reads one file in a process of its own, so that a crash, a hang or a full memory is only seen.

Imported by the tests, which ask it as a program (paths in, outcomes out, a line each: a process
that has run PyTorch must not fork), and as a plain module by `benchmarks/fuzz_readers.py`.
"""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

HARD_MEMORY = 8 << 30  # bytes of address space: what goes beyond is stopped, not only reported


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        kind: "read", "refused" (an InputError), "traceback" (any other exception), "crash" (a
            signal) or "hang".
        text: The error line, the traceback, or the signal.
        noise: What appeared on standard output and error.
        seconds: Of processor time.
        peak: Bytes, of the whole process.
    """

    kind: str
    text: str
    noise: str
    seconds: float
    peak: int


def read_isolated(path: Path, *, seconds: int = 30, wall: float = 600) -> Outcome:
    """Reads `path` in a fork of this process, which has the readers' modules loaded already.

    Args:
        path: What to read.
        seconds: Processor time after which the reader hangs.
        wall: Time after which it does, though it waits and computes nothing.
    """
    load()
    given, taken = os.pipe()
    with tempfile.TemporaryFile() as noise:
        child = os.fork()
        if child == 0:
            _in_child(path, taken, noise.fileno(), seconds)
        os.close(taken)
        said, end = b"", time.monotonic() + wall
        with os.fdopen(given, "rb", buffering=0) as pipe:
            while (left := end - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
                if not (part := pipe.read(1 << 16)):
                    break
                said += part
            else:
                os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
        noise.seek(0)
        heard = noise.read().decode("utf-8", "replace")
    code = os.waitstatus_to_exitcode(status)
    kind, _, text = said.decode("utf-8", "replace").partition("\n")
    if code in (-signal.SIGKILL, -signal.SIGXCPU):
        kind, text = "hang", signal.Signals(-code).name
    elif code:
        kind, text = "crash", signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Outcome(kind, text, heard, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def load() -> None:
    """Imports all that readers import late, once, in the process that forks."""
    import imagecodecs  # noqa: F401
    import nibabel  # noqa: F401
    import openjpeg  # noqa: F401
    import PIL.PngImagePlugin
    import PIL.TiffImagePlugin  # noqa: F401
    import pydicom.pixels
    import pydicom.pixels.decoders  # noqa: F401

    from iconet.images.dicom import series as dicom_series  # noqa: F401
    from iconet.images.text_headers import (
        metaimage,  # noqa: F401
        nrrd,  # noqa: F401
    )


def _in_child(path: Path, taken: int, noise: int, seconds: int) -> None:
    try:
        os.dup2(noise, 1)
        os.dup2(noise, 2)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (HARD_MEMORY, HARD_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(taken, _outcome(path).encode("utf-8", "replace")[:60_000])
    finally:
        os._exit(0)


def _outcome(path: Path) -> str:
    from iconet.errors import InputError
    from iconet.images import read

    try:
        scan = read(path)
        return f"read\n{scan.array.shape}"
    except InputError as error:
        return f"refused\n{error}"
    except BaseException:
        return f"traceback\n{traceback.format_exc()}"


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(asdict(read_isolated(Path(json.loads(line))))), flush=True)
