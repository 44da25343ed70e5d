"""Runs a node until it is told to stop: one thread for each thing it does."""

import signal
import threading
from collections.abc import Callable

from iconet.claims import claim
from iconet.errors import InputError
from iconet.files import write_errors
from iconet.node.audit import Audit
from iconet.node.deliver import Deliveries
from iconet.node.disk import DiskGuard
from iconet.node.queue import Queue
from iconet.node.settings import Settings
from iconet.node.spool import Spool
from iconet.node.upscaling import Upscaling

PATIENCE = 10.0  # seconds for open associations and transfers to end
CLEANING = 60.0
ANSWERING = 1.0
AGAIN = 5.0


class Node:
    """A node that runs.

    Args:
        settings: What it does.

    Raises:
        InputError: Its folder, port or certificates cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.folder
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._audit = Audit(folder, plain=settings.plain_uids)
            self._queue = Queue(folder)
            spool = Spool(folder, self._queue, self._audit, trust_count=settings.trust_count)
            again = self._queue.recover()
            spool.recover()
        self._stopping = threading.Event()
        shared = (self._queue, self._audit, self._stopping)
        self._disk = DiskGuard(folder, settings.disk, *shared[:2])
        self._upscaling = Upscaling(settings, spool, *shared)
        self._listener = None
        if settings.listen is not None:
            from iconet.node.listen import Listener

            self._listener = Listener(settings, spool, self._queue, self._disk, self._audit)
        work: list[Callable[[], None]] = [self._upscaling.run, self._keep_house]
        work += [Deliveries(settings, name, *shared).run for name in settings.peers]
        for poll in settings.polls:
            from iconet.node.poll import Polling

            work.append(Polling(settings, poll, spool, *shared).run)
        if self._listener is not None:
            work.append(lambda: self._answer(settings))
        self._threads = [
            threading.Thread(target=self._kept_up, args=(one,), daemon=True) for one in work
        ]
        for thread in self._threads:
            thread.start()
        where = "" if self._listener is None else f" on port {self._listener.port}"
        self._audit("started", f"{settings.ae_title}{where}, {again} series taken up again")

    @property
    def port(self) -> int | None:
        """The DICOM port, if it has one."""
        return None if self._listener is None else self._listener.port

    def wait(self) -> None:
        """Until it is to stop."""
        while not self._stopping.wait(0.5):
            pass

    def stop(self) -> None:
        """Ask it to stop."""
        self._stopping.set()

    def close(self) -> None:
        """Stop: associations end first, then the series at hand; what was begun is done later."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.stop(PATIENCE)
        self._upscaling.stop()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._audit("stopped", "unfinished series are done after the next start")
        self._queue.close()

    def _kept_up(self, work: Callable[[], None]) -> None:
        """Do something until the node stops, again after what nobody thought of."""
        while not self._stopping.is_set():
            try:
                work()
            except Exception as error:  # such as a full disk under the queue
                self._audit("error", f"{type(error).__name__}: {error}; it goes on")
                self._stopping.wait(AGAIN)

    def _keep_house(self) -> None:
        while True:
            self._disk.clean()
            if self._stopping.wait(CLEANING):
                return

    def _answer(self, settings: Settings) -> None:
        from iconet.node.commitment import answer_due

        while not self._stopping.wait(ANSWERING):
            answer_due(settings, self._queue, self._audit)


def run(settings: Settings) -> None:
    """Run a node until a signal ends it.

    Raises:
        InputError: It cannot start, or runs already.
    """
    lock = settings.folder / "node.lock"
    with claim(lock) as free:
        if not free:
            raise InputError(f"{settings.folder}: a node runs here already; stop it first")
        node = Node(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: node.stop())
        try:
            node.wait()
        finally:
            node.close()
