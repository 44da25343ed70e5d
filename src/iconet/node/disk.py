"""Room on the disk: nothing is taken in below the watermark, and only what is done with goes."""

import shutil
import time
from pathlib import Path

from iconet.node.audit import Audit
from iconet.node.queue import ENDED, Queue
from iconet.node.settings import Disk

GIGABYTE = 10**9
HOUR = 3600.0
LOOKED = 1.0  # seconds that an answer holds


class DiskGuard:
    """Says whether there is room, and makes some.

    Args:
        folder: Of the node.
        limits: What it may fill.
        queue: Of the node.
        audit: Of the node.
    """

    def __init__(self, folder: Path, limits: Disk, queue: Queue, audit: Audit) -> None:
        self._folder, self._limits, self._queue, self._audit = folder, limits, queue, audit
        self._looked, self.free = 0.0, 0.0

    def has_room(self) -> bool:
        """Whether more may come in."""
        if time.monotonic() - self._looked > LOOKED:
            self.free = shutil.disk_usage(self._folder).free / GIGABYTE
            self._looked = time.monotonic()
        return self.free >= self._limits.least_free

    def clean(self) -> None:
        """Delete images and results of series that have ended long enough ago.

        What has not been sent, and was not refused, stays however full the disk is. The queue
        keeps what it knows of them.
        """
        before = time.time() - self._limits.keep * HOUR
        marks = ", ".join("?" * len(ENDED))
        for series in self._queue.rows(
            f"SELECT * FROM series WHERE state IN ({marks}) AND changed<? AND (state<>'failed' OR"
            " NOT EXISTS(SELECT 1 FROM deliveries WHERE series=series.uid AND state='failed'))"
            " AND EXISTS(SELECT 1 FROM images WHERE series=series.uid AND path IS NOT NULL)",
            *(*ENDED, before),
        ):
            paths, folders = self._queue.forget(series)
            for path in paths:
                (self._folder / path).unlink(missing_ok=True)
            for folder in folders:
                result = self._folder / folder
                shutil.rmtree(result, ignore_errors=True)
                report = result.with_name(result.name + ".report.json")
                report.unlink(missing_ok=True)
            self._audit("deleted", series=series["uid"], images=len(paths), state=series["state"])
