"""A study on a Dask cluster that runs already: its workers do the scans, this process the rest.

Here scans are found, claimed and recorded; a worker reads one, writes its output and answers with
what it wrote. Dask gives the scan of a worker that died to another one.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import iconet
from iconet.errors import InputError
from iconet.study.attempt import Performed, begun, failed, record
from iconet.study.cluster_worker import RESOURCE, Order, do, enrol
from iconet.study.find import Task
from iconet.study.progress import shown_progress
from iconet.study.run_one import Upscaler
from iconet.study.share import Share
from iconet.study.summary import Outcome
from iconet.upscaling.options import Options

TIMEOUT = "30s"  # for the scheduler to answer
LOOK = 1.0  # seconds between looks for new workers
FILES_KEPT = 64  # open files for other things than claims


class Cluster:
    """The workers of a scheduler.

    Args:
        address: Of the scheduler, such as tcp://head:8786.
        start: Gives, on a worker, what works on tasks; what can be pickled.
        say: Called with what there is to say.

    Raises:
        InputError: No scheduler answers, or its workers have another iconet.
    """

    def __init__(
        self, address: str, start: Callable[[], Upscaler], say: Callable[[str], None]
    ) -> None:
        self.address, self.start, self.say = address, start, say
        self._enrolled = 0
        self._refused: set[str] = set()
        self._looked = float("-inf")
        self._most = _most_files() - FILES_KEPT

    def __enter__(self) -> Self:
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # each fault is said once
        try:
            self.client = Client(self.address, timeout=TIMEOUT)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.address}: no Dask scheduler answers there; start one by `dask scheduler`,"
                " and give the address that it prints"
            ) from error
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, TimeoutError):
            self.client.close(timeout=5)

    def attempted(
        self, tasks: Sequence[Task], work: Upscaler, share: Share
    ) -> Generator[tuple[Task, Outcome], None, None]:
        """Have the workers do tasks; each worker has one at a time.

        Raises:
            InputError: The scheduler has gone.
        """
        waiting, count = deque(tasks), len(tasks)
        running: dict[Any, tuple[Task, Any, ExitStack]] = {}
        folders = _folders(tasks)
        try:
            with shown_progress(f"{self.address}") as progress:
                while waiting or running:
                    with _scheduler(self.address):
                        slots = min(self._workers(folders), self._most)
                    while waiting and len(running) < slots:
                        task = waiting.popleft()
                        if (outcome := self._begin(task, work, share, running)) is not None:
                            yield task, outcome
                    for future in self._done(running):
                        task, how, claim = running.pop(future)
                        with claim:
                            with _scheduler(self.address):
                                made = self._result(future, task)
                            outcome = record(task, how, made, share)
                        yield task, outcome
                        progress(count - len(waiting) - len(running), count)
        finally:
            with suppress(Exception):
                self.client.cancel(list(running))
            for _, _, claim in running.values():
                claim.close()

    def _begin(
        self, task: Task, work: Upscaler, share: Share, running: dict[Any, Any]
    ) -> Outcome | None:
        claim = ExitStack()
        try:
            how = claim.enter_context(begun(task, work, share))
        except Exception as error:
            return failed(task, error)
        if isinstance(how, Outcome):
            claim.close()
            return how
        order = Order(task, self.start, how)
        with claim, _scheduler(self.address):
            future = self.client.submit(do, order, pure=False, resources={RESOURCE: 1})
            running[future] = task, how, claim.pop_all()
        return None

    def _done(self, running: dict[Any, Any]) -> list[Any]:
        """Those that are done; waits a little for one."""
        if not running:
            time.sleep(LOOK)
            return []
        from distributed import wait

        with _scheduler(self.address), suppress(TimeoutError):
            return list(wait(list(running), LOOK, return_when="FIRST_COMPLETED").done)
        return []

    def _result(self, future: Any, task: Task) -> Performed:
        """What a worker answers."""
        from distributed.scheduler import KilledWorker

        try:
            made, said = future.result()
        except KilledWorker as error:
            return Performed(
                Outcome(
                    "failed",
                    f"{task.name}: {error.allowed_failures + 1} workers died with it, perhaps for"
                    " lack of memory: give workers more of it, or try a smaller --tile",
                )
            )
        except (CancelledError, OSError):
            raise
        except Exception as error:  # of Dask, or while Python read what was sent
            return Performed(failed(task, error))
        for line in said:
            self.say(line)
        return made

    def _workers(self, folders: Sequence[Path]) -> int:
        """How many workers can take scans; makes new ones ready."""
        if time.monotonic() - self._looked < LOOK:
            return self._enrolled
        first, self._looked = self._looked < 0, time.monotonic()
        # What `scheduler_info` gives may be a summary without workers, fetched in the background.
        there = self.client.sync(self.client.scheduler.identity)["workers"]
        new = [
            address
            for address, about in there.items()
            if RESOURCE not in about["resources"] and address not in self._refused
        ]
        ready = len(there) - len(new) - len(self._refused & set(there))
        if new:
            refused = self._enrol(new, folders)
            ready += len(new) - len(refused)
            for line in refused.values():
                if first or not ready:
                    raise InputError(line)
                self.say(f"{line}; this worker gets no scans")
            self._refused |= set(refused)
        if not ready and (self._enrolled or first):
            self.say(f"{self.address}: no workers there; waiting for some")
        self._enrolled = ready
        return ready

    def _enrol(self, workers: list[str], folders: Sequence[Path]) -> dict[str, str]:
        """Make workers ready; those that cannot be used, with the reason."""
        # By a function of Python's own: others could not be sent to where iconet is missing.
        versions = self.client.run(version, "iconet", workers=workers, on_error="return")
        refused = {
            worker: f"worker {worker} has {_what(found)}, this program iconet"
            f" {iconet.__version__}: install the same version for both"
            for worker, found in versions.items()
            if found != iconet.__version__ and not isinstance(found, OSError)
        }
        same = [worker for worker, found in versions.items() if found == iconet.__version__]
        if same:
            unseen = self.client.run(enrol, folders=folders, workers=same, on_error="return")
            refused |= {worker: _blind(worker, found) for worker, found in unseen.items() if found}
        return {worker: line for worker, line in refused.items() if line}


def for_workers(
    inputs: Sequence[Path], output: Path | None, labels: Sequence[Path], options: Options
) -> tuple[list[Path], Path | None, list[Path], Options]:
    """What was asked for, with whole paths: workers have other working folders."""
    model = options.model
    if isinstance(model, str):  # a name, a file, or package.module:Class@FILE
        own, at, file = model.rpartition("@")
        if Path(file).is_file():
            options = replace(options, model=f"{own}{at}{Path(file).absolute()}")
    return (
        [path.absolute() for path in inputs],
        None if output is None else output.absolute(),
        [path.absolute() for path in labels],
        options,
    )


def _blind(worker: str, found: object) -> str:
    """Why a worker does not see the folders; empty where it has gone."""
    if isinstance(found, list):
        return f"worker {worker} does not see {found[0]}: client and workers need the same folders"
    if isinstance(found, OSError):
        return ""
    return f"worker {worker} cannot run iconet ({type(found).__name__}: {found}); see its log"


def _what(found: object) -> str:
    return f"iconet {found}" if isinstance(found, str) else "none"


def _folders(tasks: Sequence[Task]) -> list[Path]:
    """That a worker must see: of one scan, and of the results."""
    roots = {task.root or task.target.parent for task in tasks}
    return [*sorted(roots), *(task.source.parent for task in tasks[:1])]


@contextmanager
def _scheduler(address: str) -> Iterator[None]:
    """Says in one line that the scheduler has gone."""
    try:
        yield
    except (CancelledError, OSError) as error:
        raise InputError(
            f"{address}: the scheduler has gone; start it again, and rerun the command to resume"
        ) from error


def _most_files() -> int:
    """How many files this process may open; it asks for all it can get."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
