"""What a node has, does and could not do, for people and programs."""

import shutil
import time
from dataclasses import dataclass
from typing import Any

from iconet.claims import claim
from iconet.errors import InputError
from iconet.node.audit import Audit
from iconet.node.disk import GIGABYTE
from iconet.node.queue import Queue
from iconet.node.settings import Settings

SHOWN = 20  # lines of what was refused or failed


@dataclass(frozen=True)
class Status:
    """A node at this moment; `content` is what JSON can hold."""

    content: dict[str, Any]

    def lines(self) -> list[str]:
        """For people."""
        now, known = time.time(), self.content
        states = ", ".join(f"{count} {state}" for state, count in known["series"].items())
        free, least = known["disk"]["free_gb"], known["disk"]["least_free_gb"]
        room = "" if free >= least else "; associations are refused"
        lines = [
            f"{known['ae_title']}: {'running' if known['running'] else 'stopped'}",
            f"series: {states or 'none'}; {known['images']} images",
            f"disk: {free:.1f} GB free, at least {least:g} GB{room}",
        ]
        for peer, waits in known["peers"].items():
            line = f"peer {peer}: {waits['waiting']} results wait, {waits['failed']} failed"
            lines.append(line + (f"; last: {waits['line']}" if waits["line"] else ""))
        for one in known["problems"]:
            ago = (now - one["changed"]) / 60
            lines.append(f"{one['state']} {ago:.0f} min ago: {one['series']}: {one['line']}")
        return lines


def status_of(settings: Settings) -> Status:
    """Look at a node, whether it runs or not.

    Raises:
        InputError: None has run there.
    """
    queue = Queue(settings.folder, reading=True)
    audit = Audit(settings.folder, plain=settings.plain_uids)
    try:
        states = queue.rows("SELECT state, COUNT(*) AS n FROM series GROUP BY state ORDER BY state")
        (images,) = queue.rows("SELECT COUNT(*) AS n FROM images")
        problems = queue.rows(
            "SELECT * FROM series WHERE state IN ('refused', 'failed') OR (state='receiving' AND"
            " line IS NOT NULL) ORDER BY changed DESC LIMIT ?",
            SHOWN,
        )
        peers = {name: _peer(queue, name) for name in settings.peers}
    finally:
        queue.close()
    with claim(settings.folder / "node.lock") as free:
        running = not free
    return Status(
        {
            "ae_title": settings.ae_title,
            "running": running,
            "series": {row["state"]: row["n"] for row in states},
            "images": images["n"],
            "peers": peers,
            "disk": {
                "free_gb": shutil.disk_usage(settings.folder).free / GIGABYTE,
                "least_free_gb": settings.disk.least_free,
            },
            "problems": [
                {
                    "series": audit.called(row["uid"]),
                    **{name: row[name] for name in ("state", "rule", "line", "changed", "tries")},
                }
                for row in problems
            ],
        }
    )


def _peer(queue: Queue, name: str) -> dict[str, Any]:
    rows = queue.rows(
        "SELECT state, line FROM deliveries WHERE peer=? AND state IN ('waiting', 'failed')"
        " ORDER BY due DESC",
        name,
    )
    return {
        "waiting": sum(row["state"] == "waiting" for row in rows),
        "failed": sum(row["state"] == "failed" for row in rows),
        "line": next((row["line"] for row in rows if row["line"]), None),
    }


def retry(settings: Settings, series: str | None) -> int:
    """Take up again what was refused or has failed; how many.

    Args:
        settings: Of the node.
        series: UID, or what the log calls it; None for all.

    Raises:
        InputError: No node has run there, or has no such series.
    """
    Queue(settings.folder, reading=True).close()  # makes none
    queue, audit = Queue(settings.folder), Audit(settings.folder, plain=settings.plain_uids)
    try:
        if series is not None:
            uids = [row["uid"] for row in queue.rows("SELECT uid FROM series")]
            found = [uid for uid in uids if series in (uid, audit.called(uid))]
            if not found:
                raise InputError(f"{series}: no such series; see iconet node status")
            series = found[0]
        return queue.retry(series)
    finally:
        queue.close()
