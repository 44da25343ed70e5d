"""Takes one series after the other when it is complete, and has it upscaled."""

import json
import shutil
import sqlite3
import threading

from iconet.node.audit import Audit
from iconet.node.queue import Queue
from iconet.node.rules import rule_for
from iconet.node.settings import Rule, Settings
from iconet.node.spool import Spool, hashed
from iconet.node.worker import Job, Outcome, Worker
from iconet.study.jobs import Died

MOST_TRIES = 4
WAIT = 10.0  # seconds before a series is tried again whose process died; doubles
LOOK = 0.25  # seconds between looks into the queue


class Upscaling:
    """What the thread does that has series upscaled.

    Args:
        settings: Of the node.
        spool: Of the node.
        queue: Of the node.
        audit: Of the node.
        stopping: Set when the node is to stop.
    """

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        queue: Queue,
        audit: Audit,
        stopping: threading.Event,
    ) -> None:
        self._settings, self._spool, self._queue = settings, spool, queue
        self._audit, self._stopping, self._worker = audit, stopping, Worker()

    def run(self) -> None:
        """Until the node stops, or fails: then the series at hand runs again when it is called."""
        self._queue.recover()
        while not self._stopping.is_set():
            series = self._queue.take(self._settings.quiet)
            if series is None:
                self._stopping.wait(LOOK)
            else:
                self._one(series)

    def stop(self) -> None:
        """End the process that upscales; the series at hand runs again after the next start."""
        self._worker.stop()

    def _one(self, series: sqlite3.Row) -> None:
        facts = json.loads(series["facts"])
        rule = rule_for(self._settings.rules, facts, len(self._queue.images(series["uid"])))
        if facts["own"]:
            self._end(series, "own", "iconet made it; results are not upscaled again")
        elif rule is None:
            self._end(series, "ignored", "no rule is for it")
        else:
            self._upscale(series, rule)

    def _upscale(self, series: sqlite3.Row, rule: Rule) -> None:
        name = f"{hashed(series['uid'])}-{series['runs']}"
        target = self._settings.folder / "results" / name
        target.parent.mkdir(exist_ok=True)
        with self._spool.snapshot(series) as source:
            if source is None:
                gone = "images of it were deleted after its result was sent; send all of it again"
                self._end(series, "refused", gone, rule.name)
                return
            options = self._settings.options(rule)
            outcome = self._worker(Job(source, target, series["uid"], options))
        if isinstance(outcome, Died):
            if self._stopping.is_set():
                self._queue.again(series, "the node was stopped", counts=False)
                return
            died = f"its process ended with code {outcome.code}; too little memory is a usual cause"
            outcome = Outcome("failed", died)
        self._note(series, rule, outcome, f"results/{name}")
        if outcome.state != "made":
            shutil.rmtree(target, ignore_errors=True)

    def _note(self, series: sqlite3.Row, rule: Rule, outcome: Outcome, folder: str) -> None:
        uid, line = series["uid"], outcome.line
        if outcome.state == "made":
            if self._queue.deliver(
                *(series, outcome.result, folder, outcome.images, rule.send_to, line, rule.name)
            ):
                for remark in outcome.remarks:
                    self._audit("remark", remark, series=uid)
                self._audit("upscaled", line, series=uid, rule=rule.name, result=outcome.result)
            else:
                shutil.rmtree(self._settings.folder / folder, ignore_errors=True)
                self._audit("changed", "images came while it was upscaled", series=uid)
        elif outcome.state == "refused":
            self._end(series, "refused", line, rule.name)
        elif outcome.state == "later":
            self._queue.again(series, line, wait=self._settings.retry.first, counts=False)
            self._audit("waits", line, series=uid)
        elif series["tries"] < MOST_TRIES:
            self._queue.again(series, line, wait=WAIT * 2 ** (series["tries"] - 1))
            self._audit("waits", f"{line}; it is tried again", series=uid)
        else:
            self._end(series, "failed", f"{line}; tried {MOST_TRIES} times", rule.name)

    def _end(self, series: sqlite3.Row, state: str, line: str, rule: str | None = None) -> None:
        self._queue.end(series, state, line, rule)
        self._audit(state, line, series=series["uid"], rule=rule)
