"""Asks a DICOMweb service for new series, and gets those that a rule may be for."""

import secrets
import threading
from datetime import date, timedelta
from typing import Any

from pydicom import Dataset

from iconet.errors import InputError
from iconet.images.own import says_own
from iconet.node.audit import Audit
from iconet.node.queue import Queue, wait_after
from iconet.node.rules import may_fit
from iconet.node.settings import Poll, Settings
from iconet.node.spool import Spool
from iconet.node.web_peer import client_for, web_errors

FIELDS = ["NumberOfSeriesRelatedInstances", "SeriesDescription", "Modality"]


class Polling:
    """What the thread of one poll does.

    Args:
        settings: Of the node.
        poll: Which service, and for what.
        spool: Keeps what it gets.
        queue: Of the node.
        audit: Of the node.
        stopping: Set when the node is to stop.
    """

    def __init__(
        self,
        settings: Settings,
        poll: Poll,
        spool: Spool,
        queue: Queue,
        audit: Audit,
        stopping: threading.Event,
    ) -> None:
        self._settings, self._poll, self._spool = settings, poll, spool
        self._queue, self._audit, self._stopping = queue, audit, stopping
        self._peer = settings.peers[poll.peer]
        self._counts: dict[str, int] = {}

    def run(self) -> None:
        """Until the node stops."""
        failures = 0
        while not self._stopping.is_set():
            try:
                self.look()
                failures, wait = 0, self._poll.every
            except (InputError, OSError) as error:
                wait = max(self._poll.every, wait_after(failures, self._settings.retry))
                failures += 1
                self._audit("unreached", str(error), peer=self._poll.peer)
            self._stopping.wait(wait)

    def look(self) -> None:
        """Ask once; gets the series that have as many images as when it was asked before.

        Raises:
            InputError: The service does not answer as it should.
            OSError: The disk is full or fails.
        """
        since = date.today() - timedelta(days=self._poll.days)
        filters = {"StudyDate": f"{since:%Y%m%d}-", **self._poll.query}
        with web_errors(self._peer):
            client = client_for(self._peer)
            found = client.search_for_series(
                fields=FIELDS, search_filters=filters, get_remaining=True
            )
            counts = {}
            for one in map(Dataset.from_json, found):
                uid = str(one.SeriesInstanceUID)
                counts[uid] = int(one.get("NumberOfSeriesRelatedInstances") or 0)
                if self._wanted(one) and self._counts.get(uid) == counts[uid]:
                    self._get(client, str(one.StudyInstanceUID), uid)
                if self._stopping.is_set():
                    return
        self._counts = counts

    def _wanted(self, series: Dataset) -> bool:
        uid = str(series.SeriesInstanceUID)
        description = str(series.get("SeriesDescription") or "")
        if says_own(description) or self._queue.is_result(uid):
            return False
        modality = str(series.get("Modality") or "")
        return any(may_fit(rule.match, modality, description) for rule in self._settings.rules)

    def _get(self, client: Any, study: str, series: str) -> None:
        """Get the images of a series that are not here yet, one by one."""
        count = self._counts[series]
        if count and len(self._queue.images(series)) >= count:
            return
        listed = client.search_for_instances(study, series, get_remaining=True)
        uids = [str(Dataset.from_json(one).SOPInstanceUID) for one in listed]
        for uid in uids:
            if self._queue.image(uid) is not None or self._stopping.is_set():
                continue
            image = client.retrieve_instance(study, series, uid)
            path = self._spool.arriving / f"{secrets.token_hex(8)}.dcm"
            image.save_as(path, enforce_file_format=True)
            self._spool.keep(path, self._poll.peer, expected=len(uids))
