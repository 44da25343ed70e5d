"""Results go to their peers, again and again until each has every image."""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from iconet.errors import InputError
from iconet.node.audit import Audit
from iconet.node.queue import Queue, wait_after
from iconet.node.settings import Settings

LOOK = 0.25  # seconds between looks into the queue
HOUR = 3600.0


class Deliveries:
    """What the thread of one peer does.

    Args:
        settings: Of the node.
        name: Of the peer.
        queue: Of the node.
        audit: Of the node.
        stopping: Set when the node is to stop.
    """

    def __init__(
        self, settings: Settings, name: str, queue: Queue, audit: Audit, stopping: threading.Event
    ) -> None:
        self._settings, self._name, self._queue = settings, name, queue
        self._audit, self._stopping = audit, stopping
        self._peer = settings.peers[name]

    def run(self) -> None:
        """Until the node stops."""
        while not self._stopping.is_set():
            delivery = self._queue.due(self._name)
            if delivery is None:
                self._stopping.wait(LOOK)
            else:
                self._one(delivery)

    def _one(self, delivery: sqlite3.Row) -> None:
        unsent = self._queue.unsent(delivery)
        folder = self._settings.folder / delivery["folder"]
        files = [folder / row["name"] for row in unsent]
        try:
            if files:
                self._send(files, lambda uid: self._queue.sent(self._name, [uid]))
        except InputError as error:
            self._later(delivery, str(error))
        except Exception as error:  # a peer that answers nonsense must not end the thread
            self._later(delivery, f"{type(error).__name__}: {error}")
        else:
            self._queue.delivered(delivery, "done")
            uids = {"series": delivery["series"], "result": delivery["result"]}
            self._audit("sent", f"to {self._name}", peer=self._name, images=len(files), **uids)

    def _send(self, files: Sequence[Path], sent: Callable[[str], None]) -> None:
        if self._peer.url is None:
            from iconet.node import dicom_peer

            dicom_peer.send(self._settings, self._peer, files, sent)
        else:
            from iconet.node import web_peer

            web_peer.send(self._peer, files, sent)

    def _later(self, delivery: sqlite3.Row, line: str) -> None:
        line, retry = " ".join(line.split()), self._settings.retry
        if time.time() - delivery["since"] > retry.hours * HOUR:
            line = f"{line}; given up after {retry.hours:g} hours: iconet node retry"
            self._queue.delivered(delivery, "failed", line)
            self._audit("failed", line, peer=self._name, series=delivery["series"])
        else:
            self._queue.later(delivery, wait_after(delivery["tries"], retry), line)
            self._audit("unsent", line, peer=self._name, series=delivery["series"])
