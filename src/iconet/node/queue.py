"""What the node has, what is to be done with it, and what has become of it: one SQLite file.

The journal is a write-ahead log and every commit is on the disk (`synchronous=FULL`) before it
returns, so what is in here survives a loss of power. All threads of the node share one connection;
`iconet node status` has another one, which only reads.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.node.facts import Facts
from iconet.node.settings import Retry

VERSION = 1
SCHEMA = """
CREATE TABLE series(
    uid TEXT PRIMARY KEY, study TEXT NOT NULL, facts TEXT NOT NULL, state TEXT NOT NULL,
    changed REAL NOT NULL, expected INTEGER, rule TEXT, line TEXT, tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, runs INTEGER NOT NULL DEFAULT 0);
CREATE TABLE images(
    uid TEXT PRIMARY KEY, series TEXT NOT NULL REFERENCES series(uid), kind TEXT NOT NULL,
    sha256 TEXT NOT NULL, path TEXT, received REAL NOT NULL);
CREATE INDEX images_of ON images(series);
CREATE TABLE deliveries(
    result TEXT NOT NULL, peer TEXT NOT NULL, series TEXT NOT NULL, folder TEXT NOT NULL,
    state TEXT NOT NULL, since REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, line TEXT, PRIMARY KEY(result, peer));
CREATE INDEX deliveries_of ON deliveries(series);
CREATE TABLE outgoing(
    peer TEXT NOT NULL, uid TEXT NOT NULL, result TEXT NOT NULL, name TEXT NOT NULL, sent REAL,
    PRIMARY KEY(peer, uid));
CREATE INDEX outgoing_of ON outgoing(result, peer);
CREATE TABLE commitments(
    transaction_uid TEXT PRIMARY KEY, ae_title TEXT NOT NULL, images TEXT NOT NULL,
    since REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0);
"""
# receiving -> running -> sending -> done; or own, ignored, refused, failed.
ENDED = ("done", "own", "ignored", "refused", "failed")
"""States of a series that nothing more is done with, unless images come late."""


class Queue:
    """The queue of a node.

    Args:
        folder: Of the node.
        reading: Only look.

    Raises:
        InputError: It cannot be opened, or a later version of iconet made it.
    """

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        path = folder / "queue.sqlite"
        self._lock = threading.RLock()
        try:
            if reading:
                if not path.exists():
                    raise InputError(f"{folder}: no node has run here; start it: iconet node run")
                self._open(f"{path.resolve().as_uri()}?mode=ro")
            else:
                self._open(path.resolve().as_uri())
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0 and not reading:
                self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
                version = VERSION
        except sqlite3.Error as error:
            raise InputError(
                f"{path}: cannot be opened ({error}); free the disk or mend its permissions"
            ) from None
        if version != VERSION:
            raise InputError(
                f"{path}: of another version of iconet ({version}, not {VERSION}); choose another"
                " folder"
            )

    def _open(self, uri: str) -> None:
        self._db = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30
        )
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Changes that are made all or not at all."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite rolls some errors back itself
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # What comes in

    def image(self, uid: str) -> sqlite3.Row | None:
        """What is known of an image."""
        return next(iter(self.rows("SELECT * FROM images WHERE uid=?", uid)), None)

    def add(self, facts: Facts, sha256: str, path: str, *, expected: int | None = None) -> None:
        """Note an image that is on the disk; its series has changed and waits to be complete.

        An image that was deleted after its series had ended, and came again, changes nothing else
        but for a series that lacks it.

        Args:
            facts: Of the image.
            sha256: Of its data set.
            path: Below the node's folder.
            expected: How many images the series has, where that is known.
        """
        now = time.time()
        with self.change() as db:
            before = db.execute("SELECT * FROM images WHERE uid=?", (facts.sop_uid,)).fetchone()
            same = before is not None and before["sha256"] == sha256
            db.execute(
                "INSERT INTO series(uid, study, facts, state, changed) VALUES(?,?,?,'receiving',?)"
                " ON CONFLICT(uid) DO NOTHING",
                (facts.series_uid, facts.study_uid, json.dumps(facts.as_json()), now),
            )
            db.execute(
                "INSERT OR REPLACE INTO images VALUES(?,?,?,?,?,?)",
                (facts.sop_uid, facts.series_uid, facts.sop_class, sha256, path, now),
            )
            db.execute(
                "UPDATE series SET state='receiving', changed=?, tries=0, due=0,"
                " expected=COALESCE(?, expected) WHERE uid=?"
                " AND (NOT ? OR state IN ('receiving', 'refused', 'failed'))",
                (now, expected, facts.series_uid, same),
            )

    def expect(self, series: str, images: int) -> None:
        """Note how many images a series has, if any of it is there."""
        with self.change() as db:
            db.execute("UPDATE series SET expected=? WHERE uid=?", (images, series))

    # What is to be upscaled

    def take(self, quiet: float) -> sqlite3.Row | None:
        """The next series that is complete, now running; None if there is none."""
        now = time.time()
        with self.change() as db:
            row = db.execute(
                "SELECT * FROM series WHERE state='receiving' AND due<=? AND (changed<=? OR"
                " expected=(SELECT COUNT(*) FROM images WHERE series=series.uid))"
                " ORDER BY changed LIMIT 1",
                (now, now - quiet),
            ).fetchone()
            if row is not None:
                db.execute(
                    "UPDATE series SET state='running', runs=runs+1, tries=tries+1 WHERE uid=?",
                    (row["uid"],),
                )
                row = db.execute("SELECT * FROM series WHERE uid=?", (row["uid"],)).fetchone()
            return row

    def images(self, series: str) -> list[sqlite3.Row]:
        """Those of a series."""
        return self.rows("SELECT * FROM images WHERE series=?", series)

    def end(self, series: sqlite3.Row, state: str, line: str, rule: str | None = None) -> None:
        """Note what became of a series, unless images came meanwhile: then it runs again."""
        with self.change() as db:
            db.execute(
                "UPDATE series SET state=?, line=?, rule=?, changed=? WHERE uid=?"
                " AND state='running' AND runs=?",
                (state, line, rule, time.time(), series["uid"], series["runs"]),
            )

    def again(
        self, series: sqlite3.Row, line: str, *, wait: float = 0, counts: bool = True
    ) -> None:
        """Let a series run once more, later."""
        with self.change() as db:
            db.execute(
                "UPDATE series SET state='receiving', line=?, due=?, tries=tries-? WHERE uid=?"
                " AND state='running' AND runs=?",
                (line, time.time() + wait, not counts, series["uid"], series["runs"]),
            )

    def recover(self) -> int:
        """Let series run again that ran when the node was killed; how many."""
        with self.change() as db:
            return db.execute("UPDATE series SET state='receiving' WHERE state='running'").rowcount

    # What goes out

    def is_result(self, uid: str) -> bool:
        """Whether the node made a series."""
        return bool(self.rows("SELECT 1 FROM deliveries WHERE result=? LIMIT 1", uid))

    def deliver(
        self,
        series: sqlite3.Row,
        result: str,
        folder: str,
        images: Sequence[tuple[str, str]],
        peers: Iterable[str],
        line: str,
        rule: str,
    ) -> bool:
        """Note a result and to whom it goes; False where images came meanwhile.

        What a peer has had already, of the same UIDs, is not sent again. Deliveries of an earlier
        result of the series that have not begun are given up: this one takes their place.

        Args:
            series: As taken.
            result: Series UID of the result.
            folder: Below the node's folder.
            images: UID and file name of each.
            peers: Names.
            line: What was done.
            rule: By which rule.
        """
        now = time.time()
        with self.change() as db:
            changed = db.execute(
                "UPDATE series SET state='sending', line=?, rule=?, changed=?, tries=0 WHERE uid=?"
                " AND state='running' AND runs=?",
                (line, rule, now, series["uid"], series["runs"]),
            ).rowcount
            if not changed:
                return False
            db.execute(
                "UPDATE deliveries SET state='replaced' WHERE series=? AND result<>? AND"
                " state='waiting' AND NOT EXISTS(SELECT 1 FROM outgoing WHERE sent IS NOT NULL AND"
                " outgoing.result=deliveries.result AND outgoing.peer=deliveries.peer)",
                (series["uid"], result),
            )
            for peer in peers:
                db.execute(
                    "INSERT OR REPLACE INTO deliveries(result, peer, series, folder, state, since)"
                    " VALUES(?,?,?,?,'waiting',?)",
                    (result, peer, series["uid"], folder, now),
                )
                db.executemany(
                    "INSERT INTO outgoing(peer, uid, result, name) VALUES(?,?,?,?)"
                    " ON CONFLICT(peer, uid) DO UPDATE SET name=excluded.name",
                    [(peer, uid, result, name) for uid, name in images],
                )
            return True

    def due(self, peer: str) -> sqlite3.Row | None:
        """The next delivery to a peer; None if there is none."""
        found = self.rows(
            "SELECT * FROM deliveries WHERE peer=? AND state='waiting' AND due<=? ORDER BY due"
            " LIMIT 1",
            *(peer, time.time()),
        )
        return found[0] if found else None

    def unsent(self, delivery: sqlite3.Row) -> list[sqlite3.Row]:
        """Images of a delivery that the peer has not taken."""
        return self.rows(
            "SELECT * FROM outgoing WHERE result=? AND peer=? AND sent IS NULL ORDER BY name",
            *(delivery["result"], delivery["peer"]),
        )

    def sent(self, peer: str, uids: Iterable[str]) -> None:
        """Note images that a peer has taken."""
        now = time.time()
        with self.change() as db:
            db.executemany(
                "UPDATE outgoing SET sent=? WHERE peer=? AND uid=?",
                [(now, peer, uid) for uid in uids],
            )

    def delivered(self, delivery: sqlite3.Row, state: str, line: str | None = None) -> None:
        """Note the end of a delivery, and of its series where it was the last one."""
        with self.change() as db:
            db.execute(
                "UPDATE deliveries SET state=?, line=? WHERE result=? AND peer=?",
                (state, line, delivery["result"], delivery["peer"]),
            )
            db.execute(
                "UPDATE series SET state=CASE WHEN EXISTS(SELECT 1 FROM deliveries WHERE"
                " series=series.uid AND state='failed') THEN 'failed' ELSE 'done' END, changed=?"
                " WHERE uid=? AND state='sending' AND NOT EXISTS("
                "SELECT 1 FROM deliveries WHERE series=series.uid AND state='waiting')",
                (time.time(), delivery["series"]),
            )

    def later(self, delivery: sqlite3.Row, wait: float, line: str) -> None:
        """Try a delivery again, later."""
        with self.change() as db:
            db.execute(
                "UPDATE deliveries SET due=?, tries=tries+1, line=? WHERE result=? AND peer=?",
                (time.time() + wait, line, delivery["result"], delivery["peer"]),
            )

    def retry(self, series: str | None = None) -> int:
        """Take up series that were refused or failed, or one of any state; how many."""
        with self.change() as db:
            chosen = "uid=?" if series else "? IS NULL"
            failed = db.execute(
                "UPDATE deliveries SET state='waiting', due=0, tries=0, since=? WHERE"
                f" state='failed' AND ({chosen.replace('uid', 'series')})",
                (time.time(), series),
            ).rowcount
            db.execute(
                "UPDATE series SET state='sending' WHERE state='failed' AND EXISTS(SELECT 1 FROM"
                " deliveries WHERE series=series.uid AND state='waiting')"
            )
            states = (
                "('refused', 'failed', 'ignored')"
                if series is None
                else ("('refused', 'failed', 'ignored', 'done')")
            )
            again = db.execute(
                "UPDATE series SET state='receiving', due=0, tries=0, line=NULL WHERE state IN"
                f" {states} AND ({chosen})",
                (series,),
            ).rowcount
            return failed + again

    # What is deleted, and asked for

    def forget(self, series: sqlite3.Row) -> tuple[list[str], list[str]]:
        """Note that files of a series are to be deleted: images and folders of results.

        None where images have come since, or are known to have.
        """
        with self.change() as db:
            now = db.execute("SELECT changed FROM series WHERE uid=?", (series["uid"],)).fetchone()
            if now["changed"] != series["changed"]:
                return [], []
            paths = db.execute("SELECT path FROM images WHERE series=?", (series["uid"],))
            found = [row["path"] for row in paths if row["path"]]
            results = db.execute(
                "SELECT DISTINCT folder FROM deliveries WHERE series=?", (series["uid"],)
            )
            folders = [row["folder"] for row in results]
            db.execute("UPDATE images SET path=NULL WHERE series=?", (series["uid"],))
            return found, folders

    def commit(self, transaction: str, ae_title: str, images: Sequence[tuple[str, str]]) -> None:
        """Note a request for storage commitment."""
        with self.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO commitments(transaction_uid, ae_title, images, since)"
                " VALUES(?,?,?,?)",
                (transaction, ae_title, json.dumps(images), time.time()),
            )

    def due_commitments(self) -> list[sqlite3.Row]:
        """Requests for storage commitment that wait for their answer."""
        return self.rows("SELECT * FROM commitments WHERE due<=?", time.time())

    def committed(self, request: sqlite3.Row) -> None:
        """A request for storage commitment was answered."""
        with self.change() as db:
            db.execute(
                "DELETE FROM commitments WHERE transaction_uid=?", (request["transaction_uid"],)
            )

    def commitment_later(self, request: sqlite3.Row, retry: Retry) -> bool:
        """Answer a request for storage commitment later; whether it was given up instead."""
        if time.time() - request["since"] > retry.hours * 3600:
            self.committed(request)
            return True
        with self.change() as db:
            db.execute(
                "UPDATE commitments SET due=?, tries=tries+1 WHERE transaction_uid=?",
                (time.time() + wait_after(request["tries"], retry), request["transaction_uid"]),
            )
        return False


def wait_after(tries: int, retry: Retry) -> float:
    """Seconds until the next try, after so many have failed before the last one."""
    return min(retry.first * 2.0 ** min(tries, 30), retry.longest)
