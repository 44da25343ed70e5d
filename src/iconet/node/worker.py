"""The one process that upscales: it keeps its weights, and may die without the node."""

import io
import threading
import traceback
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from iconet.errors import InputError
from iconet.study.find import Task
from iconet.study.jobs import Died, end, hire
from iconet.study.run_one import Upscaler
from iconet.upscaling.options import Options


@dataclass(frozen=True)
class Job:
    """A series to upscale.

    Attributes:
        source: Folder of its images.
        target: Folder of its result.
        series: UID.
        options: How.
    """

    source: Path
    target: Path
    series: str
    options: Options


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        state: made, refused (it is no scan for this), later (the disk is full or the like) or
            failed.
        line: What was done, or why it was not.
        remarks: What else is to be said.
        result: Series UID of the result.
        images: UID and file name of its images.
    """

    state: str
    line: str
    remarks: tuple[str, ...] = ()
    result: str = ""
    images: tuple[tuple[str, str], ...] = ()


@dataclass
class Work:
    """Upscales, in the process; weights are loaded once for every way to upscale."""

    upscalers: dict[Options, Upscaler] = field(default_factory=dict)

    def __call__(self, job: Job) -> Outcome:
        """Upscale one series; whatever goes wrong is an outcome."""
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                if job.options not in self.upscalers:
                    self.upscalers[job.options] = Upscaler(job.options, reports=True)
                task = Task(job.source, job.target, series=job.series)
                line, _ = self.upscalers[job.options](task)
                result, images = _written(job.target)
        except InputError as error:
            # The folder is the node's own: a disk that is full, or gone, is not the series' fault.
            passing = str(error).startswith(str(job.target)) and isinstance(
                error.__cause__, OSError
            )
            return Outcome("later" if passing else "refused", _without(job, str(error)))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            return Outcome("failed", f"{kind}: {_without(job, str(error))}")
        remarks = tuple(_without(job, line) for line in said.getvalue().splitlines())
        return Outcome("made", _without(job, line), remarks, result, images)


def _written(folder: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    from pydicom import dcmread

    wanted = ["SOPInstanceUID", "SeriesInstanceUID"]
    headers = {
        path.name: dcmread(path, specific_tags=wanted, stop_before_pixels=True)
        for path in sorted(folder.iterdir())
    }
    series = {str(header.SeriesInstanceUID) for header in headers.values()}
    (result,) = series
    return result, tuple((str(one.SOPInstanceUID), name) for name, one in headers.items())


def _without(job: Job, line: str) -> str:
    """A line without the node's own folders, which tell nobody anything."""
    for place in (job.source, job.target):
        line = line.replace(f"{place}: ", "").replace(f"{place}/", "")
    return " ".join(line.split())


class Worker:
    """Starts the process when it is needed, and again when it has died."""

    def __init__(self) -> None:
        self._held: tuple[Connection, BaseProcess] | None = None
        self._lock, self._stopped = threading.Lock(), False

    def __call__(self, job: Job) -> Outcome | Died:
        """Have a series upscaled; waits for it."""
        pipe, process = self._hired()
        try:
            pipe.send(job)
            outcome = pipe.recv()
        except (EOFError, OSError):
            process.join()
            with self._lock:
                self._held = None
            return Died(process.exitcode)
        assert isinstance(outcome, Outcome)
        return outcome

    def _hired(self) -> tuple[Connection, BaseProcess]:
        with self._lock:
            if self._held is None and not self._stopped:
                pipe, process = hire(Work, 1)
                self._held = pipe, process
                try:
                    pipe.recv()  # that it has begun
                except (EOFError, OSError):
                    process.join()  # the job is told when it is sent
            assert self._held is not None
            return self._held

    def stop(self) -> None:
        """End the process; what it has begun to write is removed."""
        self._stopped = True
        held = self._held
        if held is not None:
            held[1].terminate()
            held[1].join(PATIENCE)
            end({held[0]: held[1]})


PATIENCE = 20.0  # seconds
